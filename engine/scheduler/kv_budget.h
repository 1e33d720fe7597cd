#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "engine/library/library.h"

namespace conclave::engine::scheduler {

/// How many bytes of KV pages there may be, and the context that this leaves a model. Thread-safe.
class KvBudget {
  public:
    /// bytes: the budget; 0 = the smaller of a quarter of the memory that is free (as `freeMemory` says when
    /// a model is first seen) and of four full contexts of every model there is. That budget grows with the
    /// models and never shrinks: a context that was promised stays possible.
    /// context: cap on every model's own; 0 = none.
    KvBudget(uint64_t bytes, uint32_t context, std::function<uint64_t()> freeMemory);

    /// The context a request to this model may use: its own, at most the cap and what the budget holds, so
    /// that one sequence alone always fits. Counts the model in where it is new.
    uint32_t contextOf(const library::LoadedModel& model);
    uint64_t bytes() const;

  private:
    uint64_t contextBytes(const model::Model& model) const;
    void countIn(const std::shared_ptr<const model::Model>& model);

    const bool chosen_;  ///< by the user
    const uint32_t cap_;
    const std::function<uint64_t()> freeMemory_;
    mutable std::mutex mutex_;
    uint64_t bytes_;
    std::vector<std::weak_ptr<const model::Model>> models_;
};

}  // namespace conclave::engine::scheduler
