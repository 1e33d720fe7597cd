#include "engine/offline/runner.h"

#include <utility>

namespace conclave::engine::offline {

base::Result<Runner> Runner::make(const model::Model& model, platform::Team& team, size_t positions,
                                  std::vector<model::AdapterUse> adapters) {
    const size_t pages = pagesFor(positions);
    CONCLAVE_TRY(platform::Memory memory,
                 platform::Memory::allocate(pages * model.kv.pageBytes, "the KV cache of a prompt"));
    return Runner(model, team, std::move(memory), pages, std::move(adapters));
}

Runner::Runner(const model::Model& model, platform::Team& team, platform::Memory memory, size_t pages,
               std::vector<model::AdapterUse> adapters)
    : model_(model), team_(team), memory_(std::move(memory)), adapters_(std::move(adapters)) {
    for (size_t page = 0; page < pages; ++page)
        pages_.push_back(memory_.data() + page * model.kv.pageBytes);
}

std::vector<float> Runner::feed(std::span<const base::TokenId> tokens, model::Slice::Logits logits,
                                model::RouteTrace* trace, model::ExpertCounts* counts) {
    model::Step step;
    step.slices.push_back({.tokens = tokens,
                           .start = position_,
                           .pages = pages_,
                           .logits = logits,
                           .trace = trace,
                           .adapters = adapters_,
                           .router = router_,
                           .counts = counts});
    step.expertCap = expertCap_;
    model_.forward(step, team_);
    position_ += static_cast<uint32_t>(tokens.size());
    return std::move(step.logits);
}

}  // namespace conclave::engine::offline
