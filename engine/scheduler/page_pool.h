#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "engine/base/result.h"
#include "engine/platform/memory.h"

namespace conclave::engine::scheduler {

constexpr uint32_t kPagePositions = 64;

constexpr uint32_t pagesFor(size_t positions) {
    return static_cast<uint32_t>((positions + kPagePositions - 1) / kPagePositions);
}

enum class PageId : uint32_t {};

/// KV pages of all models within one budget of bytes. A page belongs to whoever holds a reference (sequences
/// and the prefix cache); without one it lies idle until a model with pages of the same size takes it, or its
/// memory is given back for a page of another size. For the scheduler's thread only.
class PagePool {
  public:
    explicit PagePool(uint64_t budget) : budget_(budget) {}
    /// A budget never shrinks below what was once promised.
    void growTo(uint64_t budget) { budget_ = std::max(budget_, budget); }

    /// A page with one reference and unspecified content, 64-byte aligned; nothing when the budget is used up
    /// or the system has no memory left (then lastFailure() says so).
    std::optional<PageId> take(size_t bytes);
    void retain(PageId page);
    void release(PageId page);
    /// Whether the prefix cache holds one of the references: a page that only the cache holds counts as room.
    void setCached(PageId page, bool cached);

    std::byte* data(PageId page) const;
    bool onlyCached(PageId page) const;
    /// Bytes that can be had without taking a page from a sequence.
    uint64_t room() const { return budget_ - allocated_ + idle_ + onlyCached_; }
    uint64_t budget() const { return budget_; }
    uint64_t inUse() const { return allocated_ - idle_; }
    const std::optional<base::Error>& lastFailure() const { return lastFailure_; }

  private:
    struct Page {
        platform::Memory memory;
        uint32_t references = 0;
        bool cached = false;
    };
    void giveBackIdle(uint64_t bytesWanted);

    std::vector<Page> pages_;  ///< by PageId; one without memory is a free number
    std::vector<PageId> freeNumbers_;
    std::unordered_map<size_t, std::vector<PageId>> idlePages_;  ///< by bytes
    uint64_t budget_, allocated_ = 0, idle_ = 0, onlyCached_ = 0;
    std::optional<base::Error> lastFailure_;
};

}  // namespace conclave::engine::scheduler
