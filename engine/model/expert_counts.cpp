#include "engine/model/expert_counts.h"

#include <algorithm>

#include "engine/model/pass.h"

namespace conclave::engine::model {

ExpertCounts::ExpertCounts(const ModelConfig& config)
    : experts_(config.experts), counts_(layersWithExperts(config).size() * config.experts) {}

void ExpertCounts::clear() {
    std::ranges::fill(counts_, 0u);
}

void ExpertCounts::add(const ExpertCounts& other) {
    CONCLAVE_CHECK(other.experts_ == experts_ && other.counts_.size() == counts_.size());
    std::ranges::transform(counts_, other.counts_, counts_.begin(), std::plus<>());
}

std::vector<uint32_t> layersWithExperts(const ModelConfig& config) {
    std::vector<uint32_t> out;
    if (config.experts == 0) return out;
    for (uint32_t layer = 0; layer < config.layers; ++layer)
        if (config.moeLayer[layer] != 0) out.push_back(layer);
    return out;
}

void countExperts(Pass& pass) {
    const Timed timed(pass, &StepTimes::counting);
    const int32_t* ids = pass.buffers.expertIds;
    for (const Slice& slice : pass.step.slices) {
        const size_t slots = slice.tokens.size() * pass.slots;
        if (slice.counts != nullptr) {
            const std::span<uint32_t> counts = slice.counts->layer(pass.moeLayers);
            for (const int32_t id : std::span(ids, slots))
                if (id >= 0) ++counts[static_cast<size_t>(id)];
        }
        ids += slots;
    }
}

}  // namespace conclave::engine::model
