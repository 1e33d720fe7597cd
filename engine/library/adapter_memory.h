#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "engine/model/adapter.h"

namespace conclave::engine::library {

/// Bytes of adapters that are in memory or about to be, whoever holds them: one that was taken off counts
/// until the last request that uses it has ended. Thread-safe.
class AdapterMemory {
  public:
    uint64_t used() const { return *used_; }

    /// Takes `bytes` of `budget`; false where they are not there.
    bool take(uint64_t bytes, uint64_t budget) {
        uint64_t used = *used_;
        do {
            if (bytes > budget || used > budget - bytes) return false;
        } while (!used_->compare_exchange_weak(used, used + bytes));
        return true;
    }
    void giveBack(uint64_t bytes) { *used_ -= bytes; }

    /// `adapter`, which gives back its taken bytes when nobody holds it any more.
    std::shared_ptr<const model::Adapter> counted(std::shared_ptr<const model::Adapter> adapter,
                                                  uint64_t bytes) const {
        const model::Adapter* raw = adapter.get();
        return {raw, [used = used_, kept = std::move(adapter), bytes](const model::Adapter*) mutable {
                    kept.reset();
                    *used -= bytes;
                }};
    }

  private:
    std::shared_ptr<std::atomic<uint64_t>> used_ = std::make_shared<std::atomic<uint64_t>>(0);
};

}  // namespace conclave::engine::library
