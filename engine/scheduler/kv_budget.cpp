#include "engine/scheduler/kv_budget.h"

#include <algorithm>
#include <utility>

#include "engine/scheduler/page_pool.h"

namespace conclave::engine::scheduler {
namespace {

constexpr uint64_t kContextsPerModel = 4;
constexpr uint64_t kShareOfFreeMemory = 4;

}  // namespace

KvBudget::KvBudget(uint64_t bytes, uint32_t context, std::function<uint64_t()> freeMemory)
    : chosen_(bytes > 0), cap_(context), freeMemory_(std::move(freeMemory)), bytes_(bytes) {}

uint64_t KvBudget::contextBytes(const model::Model& model) const {
    const uint32_t context = cap_ > 0 ? std::min(cap_, model.config.context) : model.config.context;
    return uint64_t{pagesFor(context)} * model.kv.pageBytes;
}

void KvBudget::countIn(const std::shared_ptr<const model::Model>& model) {
    std::erase_if(models_, [](const auto& known) { return known.expired(); });
    uint64_t wanted = kContextsPerModel * contextBytes(*model);
    for (const auto& known : models_) {
        const auto there = known.lock();
        if (there == model) return;
        if (there != nullptr) wanted += kContextsPerModel * contextBytes(*there);
    }
    models_.push_back(model);
    bytes_ = std::max(bytes_, std::min(wanted, freeMemory_() / kShareOfFreeMemory));
}

uint32_t KvBudget::contextOf(const library::LoadedModel& model) {
    const std::lock_guard lock(mutex_);
    if (!chosen_) countIn(model.model);
    const uint64_t held = bytes_ / std::max<size_t>(1, model.model->kv.pageBytes) * kPagePositions;
    const auto context = static_cast<uint32_t>(std::min<uint64_t>(model.model->config.context, held));
    return cap_ > 0 ? std::min(context, cap_) : context;
}

uint64_t KvBudget::bytes() const {
    const std::lock_guard lock(mutex_);
    return bytes_;
}

}  // namespace conclave::engine::scheduler
