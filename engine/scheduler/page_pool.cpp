#include "engine/scheduler/page_pool.h"

#include <utility>

namespace conclave::engine::scheduler {

std::optional<PageId> PagePool::take(size_t bytes) {
    if (auto& idle = idlePages_[bytes]; !idle.empty()) {
        const PageId page = idle.back();
        idle.pop_back();
        idle_ -= bytes;
        pages_[static_cast<size_t>(page)].references = 1;
        return page;
    }
    if (allocated_ + bytes > budget_) giveBackIdle(allocated_ + bytes - budget_);
    if (allocated_ + bytes > budget_) return std::nullopt;
    auto memory = platform::Memory::allocate(bytes, "KV pages");
    if (!memory.ok()) {
        lastFailure_ = std::move(memory).error();
        return std::nullopt;
    }
    allocated_ += bytes;
    PageId page{static_cast<uint32_t>(pages_.size())};
    if (freeNumbers_.empty()) {
        pages_.emplace_back();
    } else {
        page = freeNumbers_.back();
        freeNumbers_.pop_back();
    }
    Page& made = pages_[static_cast<size_t>(page)];
    made.memory = std::move(memory).value();
    made.references = 1;
    return page;
}

void PagePool::giveBackIdle(uint64_t bytesWanted) {
    uint64_t given = 0;
    for (auto& [bytes, idle] : idlePages_)
        while (given < bytesWanted && !idle.empty()) {
            const PageId page = idle.back();
            idle.pop_back();
            pages_[static_cast<size_t>(page)] = Page{};
            freeNumbers_.push_back(page);
            idle_ -= bytes;
            allocated_ -= bytes;
            given += bytes;
        }
}

void PagePool::retain(PageId id) {
    Page& page = pages_[static_cast<size_t>(id)];
    CONCLAVE_CHECK(page.references > 0);
    if (page.cached && page.references == 1) onlyCached_ -= page.memory.size();
    ++page.references;
}

void PagePool::release(PageId id) {
    Page& page = pages_[static_cast<size_t>(id)];
    CONCLAVE_CHECK(page.references > 0);
    --page.references;
    if (page.references == 1 && page.cached) onlyCached_ += page.memory.size();
    if (page.references > 0) return;
    CONCLAVE_CHECK(!page.cached);
    idle_ += page.memory.size();
    idlePages_[page.memory.size()].push_back(id);
}

void PagePool::setCached(PageId id, bool cached) {
    Page& page = pages_[static_cast<size_t>(id)];
    CONCLAVE_CHECK(page.references > 0 && page.cached != cached);
    page.cached = cached;
    if (page.references == 1)
        onlyCached_ = cached ? onlyCached_ + page.memory.size() : onlyCached_ - page.memory.size();
}

std::byte* PagePool::data(PageId page) const {
    return pages_[static_cast<size_t>(page)].memory.data();
}

bool PagePool::onlyCached(PageId id) const {
    const Page& page = pages_[static_cast<size_t>(id)];
    return page.cached && page.references == 1;
}

}  // namespace conclave::engine::scheduler
