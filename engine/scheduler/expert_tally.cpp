#include "engine/scheduler/expert_tally.h"

#include <utility>

namespace conclave::engine::scheduler {

ExpertTally::ExpertTally(const GenerationRequest& request)
    : request_(request), step_(request.model->model->config) {
    if (!step_.empty()) held_ = std::make_shared<ExpertRecord>(emptyRecord());
}

ExpertRecord ExpertTally::emptyRecord() const {
    ExpertRecord out;
    out.owner = request_.owner;
    out.conversation = request_.conversation;
    for (const library::AdapterUse& use : request_.adapters)
        if (use.strength != 0) out.adapters.push_back(use.adapter->name);
    out.counts = model::ExpertCounts(request_.model->model->config);
    return out;
}

void ExpertTally::keep(uint32_t tokens, Time began, Time ended) {
    if (held_ == nullptr) return;
    if (held_->tokens == 0) held_->began = began;
    held_->ended = ended;
    held_->tokens += tokens;
    held_->counts.add(step_);
    step_.clear();
}

std::optional<ExpertTally::Time> ExpertTally::heldSince() const {
    return held_ == nullptr || held_->tokens == 0 ? std::nullopt : std::optional(held_->began);
}

std::shared_ptr<const ExpertRecord> ExpertTally::take() {
    if (!heldSince()) return nullptr;
    return std::exchange(held_, std::make_shared<ExpertRecord>(emptyRecord()));
}

}  // namespace conclave::engine::scheduler
