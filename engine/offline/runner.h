#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/result.h"
#include "engine/model/model.h"
#include "engine/platform/memory.h"
#include "engine/platform/team.h"

namespace conclave::engine::offline {

/// One sequence on pages of its own, fed a run of tokens at a time. The model and the team must outlive it.
class Runner {
  public:
    /// Room for so many positions; every row is adapted by `adapters`, which must outlive it too. Errors:
    /// OutOfMemory.
    static base::Result<Runner> make(const model::Model& model, platform::Team& team, size_t positions,
                                     std::vector<model::AdapterUse> adapters = {});

    /// From now on the rows are routed so; `router` is canonical, may be null and must outlive the runner.
    void steer(const model::RouterOptions* router, float expertCap) {
        router_ = router;
        expertCap_ = expertCap;
    }

    static size_t pagesFor(size_t positions) {
        return (positions + kernels::kPagePositions - 1) / kernels::kPagePositions;
    }

    /// Logits of the rows that ask, [rows][vocabulary]; trace and counts may be null.
    std::vector<float> feed(std::span<const base::TokenId> tokens, model::Slice::Logits logits,
                            model::RouteTrace* trace, model::ExpertCounts* counts = nullptr);

  private:
    Runner(const model::Model& model, platform::Team& team, platform::Memory memory, size_t pages,
           std::vector<model::AdapterUse> adapters);

    const model::Model& model_;
    platform::Team& team_;
    platform::Memory memory_;
    std::vector<std::byte*> pages_;
    std::vector<model::AdapterUse> adapters_;
    const model::RouterOptions* router_ = nullptr;
    float expertCap_ = 0;
    uint32_t position_ = 0;
};

}  // namespace conclave::engine::offline
