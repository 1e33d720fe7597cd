#include "engine/model/adapter.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "engine/model/adapter_fused.h"
#include "engine/model/adapter_layout.h"
#include "engine/model/adapter_names.h"
#include "engine/model/adapter_probe.h"
#include "engine/model/adapter_values.h"
#include "engine/model/base_fingerprint.h"
#include "engine/model/model.h"

namespace conclave::engine::model {
namespace {

using base::Code;
using base::Error;
using base::Result;
using formats::AdapterFile;
using formats::TensorInfo;
using quant::Format;

/// A pair with its factors and their places.
struct PlannedPair {
    AdapterPair pair;
    std::vector<PlacedPlan> factors;
    float scale = 1;
};

/// Fills the place where nobody has, and gives the view of it.
kernels::MatrixView put(const AdapterValues& values, const FactorSource& source, const FactorPlace& place,
                        std::span<const uint32_t> order, uint32_t rank, uint32_t cols, std::byte* memory) {
    kernels::MatrixView view;
    view.format = place.format;
    view.rows = rank;
    view.cols = cols;
    view.stride = quant::rowBytes(place.format, cols);
    view.data = memory + place.offset;
    if (place.first) values.fill(source, order, rank, cols, place.format, memory + place.offset);
    return view;
}

/// Every pair with the memory that all of them need.
Result<std::vector<PlannedPair>> planPairs(const AdapterFile& file, const std::vector<AdapterPair>& pairs,
                                           std::optional<Orientation> orientation, const ModelConfig& config,
                                           const MatrixTable& matrices, size_t& bytes) {
    std::vector<PlannedPair> out;
    out.reserve(pairs.size());
    for (const AdapterPair& pair : pairs) {
        PlannedPair planned{.pair = pair, .factors = {}};
        std::string scaledAs;
        CONCLAVE_TRY(std::vector<FactorPlan> plans,
                     planFactors(file, pair, orientation, config, matrices, scaledAs));
        CONCLAVE_TRY(planned.scale, file.scaleOf(scaledAs, plans[0].rank));
        planned.factors = placeFactors(pair, std::move(plans), bytes);
        if (!std::isfinite(planned.scale))
            return Error{Code::ValueOutOfRange, file.path, scaledAs, {"its scale", "a finite number"}};
        out.push_back(std::move(planned));
    }
    return out;
}

bool ofExperts(Role role) {
    return role == Role::ExpertGate || role == Role::ExpertUp || role == Role::ExpertDown;
}

/// Matrices as a person counts them: kv_b is one, whatever its halves and heads.
void count(const std::vector<PlannedPair>& pairs, const MatrixTable& table, AdapterCounts& counts) {
    std::map<uint32_t, AdapterCounts::Layer> layers;
    for (const PlannedPair& planned : pairs) {
        const MatrixInfo& first = table[planned.factors[0].plan.id];
        const bool halves = first.role == Role::LatentKey || first.role == Role::LatentValue;
        const auto matrices = halves ? 1u : static_cast<uint32_t>(planned.factors.size());
        counts.matrices += matrices;
        if (first.role == Role::Head || first.role == Role::Embedding) continue;
        AdapterCounts::Layer& layer = layers[first.layer];
        layer.layer = first.layer;
        layer.matrices += matrices;
        if (ofExperts(first.role)) layer.experts += matrices;
    }
    for (const auto& [number, layer] : layers)
        counts.layers.push_back(layer);
}

/// A second pair for the same matrix, which another naming of it would be.
Result<void> place(Adapter& adapter, const AdapterFile& file, const PlannedPair& planned,
                   const FactorPlan& plan, const LowRank& factor) {
    std::vector<LowRank>& parts = adapter.factors[static_cast<size_t>(plan.id)];
    if (parts[plan.part].a.rows > 0) return Error{Code::DuplicateName, file.path, planned.pair.module, {}};
    parts[plan.part] = factor;
    return {};
}

}  // namespace

uint64_t Adapter::bytes() const {
    uint64_t bytes = memory.size() + factors.size() * sizeof(factors[0]);
    for (const std::vector<LowRank>& parts : factors)
        bytes += parts.size() * sizeof(LowRank);
    return bytes;
}

Result<std::shared_ptr<const Adapter>> loadAdapter(const AdapterFile& file, const Model& model,
                                                   const ReserveMemory& reserve) {
    return loadAdapter(file, model.config, model.matrices, reserve);
}

Result<std::shared_ptr<const Adapter>> loadAdapter(const AdapterFile& file, const ModelConfig& config,
                                                   const MatrixTable& matrices,
                                                   const ReserveMemory& reserve) {
    if (!file.baseFingerprint.empty()) {
        CONCLAVE_TRY_VOID(checkFingerprint(file.baseFingerprint, baseFingerprint(config), file.path,
                                           file.fingerprintKey()));
    }
    CONCLAVE_TRY(const std::vector<AdapterPair> read, pairsOf(file));
    const std::optional<Orientation> orientation = orientationOf(file, read, config).orientation;
    size_t bytes = 0;
    CONCLAVE_TRY(const std::vector<PlannedPair> pairs,
                 planPairs(file, read, orientation, config, matrices, bytes));
    auto adapter = std::make_shared<Adapter>();
    adapter->factors.resize(matrices.matrices.size());
    for (const PlannedPair& planned : pairs)
        for (const PlacedPlan& placed : planned.factors)
            adapter->factors[static_cast<size_t>(placed.plan.id)].resize(matrices[placed.plan.id].matrices);
    if (reserve) {
        CONCLAVE_TRY_VOID(reserve(bytes + adapter->bytes()));
    }
    CONCLAVE_TRY(adapter->memory, platform::Memory::allocate(bytes, "the adapter"));
    std::byte* memory = adapter->memory.data();
    for (const PlannedPair& planned : pairs) {
        CONCLAVE_TRY(const AdapterValues a, AdapterValues::of(*planned.pair.a, file.path));
        CONCLAVE_TRY(const AdapterValues b, AdapterValues::of(*planned.pair.b, file.path));
        for (const PlacedPlan& placed : planned.factors) {
            const FactorPlan& plan = placed.plan;
            const LowRank factor{
                put(plan.a.inA ? a : b, plan.a, placed.a, {}, plan.rank, plan.inputs, memory),
                put(plan.b.inA ? a : b, plan.b, placed.b, plan.order, plan.rank, plan.outputs, memory),
                planned.scale};
            CONCLAVE_TRY_VOID(place(*adapter, file, planned, plan, factor));
            adapter->mostRank = std::max(adapter->mostRank, plan.rank);
        }
    }
    const Result<void> probed = probeAdapter({file, read, orientation, config, matrices}, *adapter);
    if (!file.tensors.unchanged()) return Error{Code::FileChanged, file.path, "", {}};
    if (!probed.ok()) return probed.error();
    adapter->changesNothing = changesNothing(*adapter);
    count(pairs, matrices, adapter->counts);
    adapter->counts.pairs = static_cast<uint32_t>(pairs.size());
    for (const int32_t token : file.invocationTokens)
        adapter->invocation.push_back(base::TokenId{token});
    return std::shared_ptr<const Adapter>(std::move(adapter));
}

}  // namespace conclave::engine::model
