#include "engine/model/adapter.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "engine/model/adapter_fused.h"
#include "engine/model/adapter_names.h"
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

constexpr size_t kAlign = 64;

/// A pair with its factors and the format that both are kept in.
struct PlannedPair {
    AdapterPair pair;
    std::vector<FactorPlan> factors;
    float scale = 1;
    Format format = Format::F32;
};

/// As stored where that is a float format of one kind, so that nothing is rounded and nothing grows.
Format keptFormat(const AdapterPair& pair) {
    const Format format = pair.a->format;
    const bool narrow = format == Format::BF16 || format == Format::F16;
    return narrow && pair.b->format == format ? format : Format::F32;
}

size_t matrixBytes(const PlannedPair& planned, uint32_t rank, uint32_t values) {
    const size_t bytes = size_t{rank} * quant::rowBytes(planned.format, values);
    return (bytes + kAlign - 1) / kAlign * kAlign;
}

Result<std::vector<float>> decoded(const AdapterFile& file, const TensorInfo& tensor) {
    const quant::FormatInfo& format = quant::info(tensor.format);
    if (format.decode == nullptr || tensor.format == Format::F8E4M3)
        return Error{Code::TensorFormat,
                     tensor.file,
                     tensor.name,
                     {std::string(format.name), "an adapter's factors are floats"}};
    size_t count = 1;
    for (const uint64_t d : tensor.shape)
        count *= d;
    std::vector<float> values(count);
    format.decode(tensor.bytes.data(), count / format.blockValues, values.data());
    if (!std::ranges::all_of(values, [](float value) { return std::isfinite(value); }))
        return Error{Code::ValueOutOfRange, file.path, tensor.name, {"NaN or infinity", "finite numbers"}};
    return values;
}

/// Rank by rank, the values of one factor; `order` may be empty.
void fill(const FactorSource& source, const std::vector<float>& from, const std::vector<uint32_t>& order,
          uint32_t rank, uint32_t values, Format format, std::byte* out) {
    std::vector<float> row(values);
    for (uint32_t k = 0; k < rank; ++k) {
        for (uint32_t i = 0; i < values; ++i) {
            const size_t at = order.empty() ? i : order[i];
            row[i] = from[source.begin + k * source.rankStride + at * source.valueStride];
        }
        quant::info(format).encode(row.data(), values, out + k * quant::rowBytes(format, values));
    }
}

kernels::MatrixView viewOf(Format format, uint32_t rank, uint32_t values, const std::byte* data) {
    kernels::MatrixView view;
    view.format = format;
    view.rows = rank;
    view.cols = values;
    view.stride = quant::rowBytes(format, values);
    view.data = data;
    return view;
}

Result<std::vector<PlannedPair>> planPairs(const AdapterFile& file, const Model& model) {
    std::vector<PlannedPair> out;
    CONCLAVE_TRY(const std::vector<AdapterPair> pairs, pairsOf(file));
    const std::optional<Orientation> orientation = orientationOf(file, pairs, model.config);
    for (const AdapterPair& pair : pairs) {
        PlannedPair planned{.pair = pair, .factors = {}, .format = keptFormat(pair)};
        std::string scaledAs;
        CONCLAVE_TRY(planned.factors,
                     planFactors(file, pair, orientation, model.config, model.matrices, scaledAs));
        CONCLAVE_TRY(planned.scale, file.scaleOf(scaledAs, planned.factors[0].rank));
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
        const MatrixInfo& first = table[planned.factors[0].id];
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
    if (!file.baseFingerprint.empty()) {
        CONCLAVE_TRY_VOID(checkFingerprint(file.baseFingerprint, baseFingerprint(model.config), file.path,
                                           file.fingerprintKey()));
    }
    CONCLAVE_TRY(const std::vector<PlannedPair> pairs, planPairs(file, model));
    auto adapter = std::make_shared<Adapter>();
    adapter->factors.resize(model.matrices.matrices.size());
    size_t bytes = 0;
    for (const PlannedPair& planned : pairs)
        for (const FactorPlan& plan : planned.factors) {
            adapter->factors[static_cast<size_t>(plan.id)].resize(model.matrices[plan.id].matrices);
            bytes +=
                matrixBytes(planned, plan.rank, plan.inputs) + matrixBytes(planned, plan.rank, plan.outputs);
        }
    if (reserve) {
        CONCLAVE_TRY_VOID(reserve(bytes + adapter->bytes()));
    }
    CONCLAVE_TRY(adapter->memory, platform::Memory::allocate(bytes, "the adapter"));
    std::byte* at = adapter->memory.data();
    for (const PlannedPair& planned : pairs) {
        CONCLAVE_TRY(const std::vector<float> a, decoded(file, *planned.pair.a));
        CONCLAVE_TRY(const std::vector<float> b, decoded(file, *planned.pair.b));
        for (const FactorPlan& plan : planned.factors) {
            const Format format = planned.format;
            LowRank factor{viewOf(format, plan.rank, plan.inputs, at), {}, planned.scale};
            fill(plan.a, plan.a.inA ? a : b, {}, plan.rank, plan.inputs, format, at);
            at += matrixBytes(planned, plan.rank, plan.inputs);
            factor.b = viewOf(format, plan.rank, plan.outputs, at);
            fill(plan.b, plan.b.inA ? a : b, plan.order, plan.rank, plan.outputs, format, at);
            at += matrixBytes(planned, plan.rank, plan.outputs);
            CONCLAVE_TRY_VOID(place(*adapter, file, planned, plan, factor));
            adapter->mostRank = std::max(adapter->mostRank, plan.rank);
        }
    }
    if (!file.tensors.unchanged()) return Error{Code::FileChanged, file.path, "", {}};
    count(pairs, model.matrices, adapter->counts);
    adapter->counts.pairs = static_cast<uint32_t>(pairs.size());
    for (const int32_t token : file.invocationTokens)
        adapter->invocation.push_back(base::TokenId{token});
    return std::shared_ptr<const Adapter>(std::move(adapter));
}

}  // namespace conclave::engine::model
