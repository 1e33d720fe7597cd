#include "engine/model/adapter_layout.h"

#include <map>
#include <tuple>
#include <utility>

#include "engine/model/adapter_values.h"

namespace conclave::engine::model {
namespace {

constexpr size_t kAlign = 64;

/// What a factor is made of; equal keys of one pair are equal factors.
using Key = std::tuple<bool, size_t, size_t, size_t, uint32_t>;

Key keyOf(const FactorSource& source, uint32_t values) {
    return {source.inA, source.begin, source.rankStride, source.valueStride, values};
}

struct Shared {
    uint32_t users = 0;
    bool placed = false;
    size_t offset = 0;
};

class Placer {
  public:
    Placer(const AdapterPair& pair, size_t& used) : pair_(pair), used_(used) {}

    void count(const FactorPlan& plan) {
        ++shared_[keyOf(plan.a, plan.inputs)].users;
        if (plan.order.empty()) ++shared_[keyOf(plan.b, plan.outputs)].users;
    }

    FactorPlace place(const FactorSource& source, bool inOrder, uint32_t rank, uint32_t values) {
        const quant::Format kept = keptFormat((source.inA ? pair_.a : pair_.b)->format);
        if (!inOrder) return fresh(kept, rank, values);
        Shared& shared = shared_.at(keyOf(source, values));
        if (shared.placed) return {quant::Format::F32, shared.offset, false};
        const FactorPlace out = fresh(shared.users > 1 ? quant::Format::F32 : kept, rank, values);
        shared.placed = true;
        shared.offset = out.offset;
        return out;
    }

  private:
    FactorPlace fresh(quant::Format format, uint32_t rank, uint32_t values) {
        const FactorPlace out{format, used_, true};
        used_ += (size_t{rank} * quant::rowBytes(format, values) + kAlign - 1) / kAlign * kAlign;
        return out;
    }

    const AdapterPair& pair_;
    size_t& used_;
    std::map<Key, Shared> shared_;
};

}  // namespace

std::vector<PlacedPlan> placeFactors(const AdapterPair& pair, std::vector<FactorPlan> plans, size_t& used) {
    Placer placer(pair, used);
    for (const FactorPlan& plan : plans)
        placer.count(plan);
    std::vector<PlacedPlan> out;
    out.reserve(plans.size());
    for (FactorPlan& plan : plans) {
        PlacedPlan placed;
        placed.a = placer.place(plan.a, true, plan.rank, plan.inputs);
        placed.b = placer.place(plan.b, plan.order.empty(), plan.rank, plan.outputs);
        placed.plan = std::move(plan);
        out.push_back(std::move(placed));
    }
    return out;
}

}  // namespace conclave::engine::model
