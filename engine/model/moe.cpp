#include "engine/model/moe.h"

#include <algorithm>
#include <cstring>

#include "engine/model/expert_counts.h"

namespace conclave::engine::model {
namespace {

using kernels::ConstRows;
using kernels::Rows;

RouteTrace::Layer& traceLayer(RouteTrace& trace, uint32_t index) {
    if (trace.layers.size() <= index) trace.layers.resize(index + 1);
    return trace.layers[index];
}

/// The experts that the slices' traces force on this layer, [rows][chosen]; null where none does.
const int32_t* gatherForced(Pass& pass) {
    const size_t chosen = pass.config.chosenExperts;
    int32_t* at = pass.buffers.forced;
    bool any = false;
    for (const Slice& slice : pass.step.slices) {
        const size_t values = slice.tokens.size() * chosen;
        const RouteTrace::Layer* layer = nullptr;
        if (slice.trace != nullptr && slice.trace->layers.size() > pass.moeLayers)
            layer = &slice.trace->layers[pass.moeLayers];
        if (layer != nullptr && !layer->forced.empty()) {
            CONCLAVE_CHECK(layer->forced.size() == values);
            for (const int32_t id : layer->forced)
                CONCLAVE_CHECK(id >= -1 && id < static_cast<int32_t>(pass.config.experts));
            std::copy(layer->forced.begin(), layer->forced.end(), at);
            any = true;
        } else {
            std::fill_n(at, values, -1);
        }
        at += values;
    }
    return any ? pass.buffers.forced : nullptr;
}

void writeTraces(Pass& pass, uint32_t layerNumber) {
    const ModelConfig& c = pass.config;
    size_t row = 0;
    for (const Slice& slice : pass.step.slices) {
        const size_t rows = slice.tokens.size();
        if (slice.trace != nullptr) {
            RouteTrace::Layer& layer = traceLayer(*slice.trace, pass.moeLayers);
            const int32_t* ids = pass.buffers.expertIds + row * c.chosenExperts;
            const float* weights = pass.buffers.expertWeights + row * c.chosenExperts;
            const float* scores = pass.buffers.routerScores + row * c.experts;
            layer.layer = layerNumber;
            layer.experts = c.experts;
            layer.chosen = c.chosenExperts;
            layer.ids.assign(ids, ids + rows * c.chosenExperts);
            layer.weights.assign(weights, weights + rows * c.chosenExperts);
            layer.scores.assign(scores, scores + rows * c.experts);
        }
        row += rows;
    }
}

/// Orders (row, slot) by expert, rows ascending inside an expert, and makes one part an expert that somebody
/// chose.
void sortByExpert(Pass& pass) {
    Workspace& b = pass.buffers;
    const uint32_t experts = pass.config.experts, chosen = pass.config.chosenExperts,
                   slots = pass.rows * chosen;
    std::fill_n(b.expertStart, experts + 1, 0u);
    for (uint32_t slot = 0; slot < slots; ++slot) {
        CONCLAVE_CHECK(b.expertIds[slot] >= 0 && b.expertIds[slot] < static_cast<int32_t>(experts));
        ++b.expertStart[b.expertIds[slot] + 1];
    }
    for (uint32_t e = 0; e < experts; ++e)
        b.expertStart[e + 1] += b.expertStart[e];
    b.parts.clear();
    for (uint32_t e = 0; e < experts; ++e)
        if (const uint32_t first = b.expertStart[e], rows = b.expertStart[e + 1] - first; rows > 0)
            b.parts.push_back({.matrix = e, .firstRow = first, .rows = rows, .stepRows = b.sortedRow});
    for (uint32_t slot = 0; slot < slots; ++slot) {
        const uint32_t at = b.expertStart[b.expertIds[slot]]++;
        b.sortedRow[at] = slot / chosen;
        b.sortedSlot[at] = slot;
    }
}

void route(Pass& pass, const Moe& moe, uint32_t layer, ConstRows h) {
    const Timed timed(pass, &StepTimes::router);
    const ModelConfig& c = pass.config;
    Workspace& b = pass.buffers;
    const Rows logits = pass.view(b.routerLogits, c.experts);  // [rows][experts]
    project(pass, moe.router, h, logits);
    kernels::RouteArgs args{.logits = logits, .rule = c.route};
    args.rule.bias = moe.routerBias == VectorId::None ? nullptr : pass.vector(moe.routerBias);
    args.forced = gatherForced(pass);
    args.experts = b.expertIds;
    args.weights = b.expertWeights;
    args.scores = b.routerScores;
    pass.kernels.route(pass.launch, args);
    writeTraces(pass, layer);
    countExperts(pass);
    ++pass.moeLayers;
}

}  // namespace

Moe declareMoe(TensorList& tensors, const ModelConfig& c, uint32_t layer) {
    const bool biased =
        c.route.scores == kernels::RouteRule::Scores::Sigmoid && tensors.naming() == Naming::HuggingFace;
    Moe moe;
    moe.router = tensors.matrix(Role::Router, layer, c.experts, c.hidden);
    moe.routerBias = tensors.optionalVector(Role::RouterBias, layer, c.experts, biased);
    moe.gate = tensors.experts(Role::ExpertGate, layer, c.experts, c.expertIntermediate, c.hidden);
    moe.up = tensors.experts(Role::ExpertUp, layer, c.experts, c.expertIntermediate, c.hidden);
    moe.down = tensors.experts(Role::ExpertDown, layer, c.experts, c.hidden, c.expertIntermediate);
    if (c.sharedIntermediate > 0) {
        moe.shared.width = c.sharedIntermediate;
        moe.shared.gate = tensors.matrix(Role::SharedGate, layer, c.sharedIntermediate, c.hidden);
        moe.shared.up = tensors.matrix(Role::SharedUp, layer, c.sharedIntermediate, c.hidden);
        moe.shared.down = tensors.matrix(Role::SharedDown, layer, c.hidden, c.sharedIntermediate);
    }
    return moe;
}

void mixExperts(Pass& pass, const Moe& moe, uint32_t layer, ConstRows h, Rows y) {
    const ModelConfig& c = pass.config;
    Workspace& b = pass.buffers;
    const uint32_t slots = pass.rows * c.chosenExperts;
    const Rows sorted{b.sorted, slots, c.hidden, c.hidden};                            // [slots][hidden]
    const Rows gate{b.expertGate, slots, c.expertIntermediate, c.expertIntermediate};  // [slots][width]
    const Rows up{b.expertUp, slots, c.expertIntermediate, c.expertIntermediate};      // [slots][width]
    const Rows parts{b.slots, slots, c.hidden, c.hidden};                              // [slots][hidden]

    route(pass, moe, layer, h);
    const Timed timed(pass, &StepTimes::feedForward);
    sortByExpert(pass);
    pass.kernels.gather(pass.launch, h, {b.sortedRow, slots}, sorted);
    project(pass, b.parts, moe.gate, sorted, gate);
    project(pass, b.parts, moe.up, sorted, up);
    pass.kernels.gateUp(pass.launch, gate, up, gate);
    project(pass, b.parts, moe.down, gate, sorted);
    pass.kernels.scatter(pass.launch, sorted, {b.sortedSlot, slots}, parts);

    kernels::CombineArgs combine{
        .parts = parts, .weights = b.expertWeights, .slots = c.chosenExperts, .shared = {}, .y = y};
    if (moe.shared.width > 0) {
        const Rows shared = pass.view(b.shared, c.hidden);  // [rows][hidden]
        feedForward(pass, moe.shared, h, shared);
        combine.shared = shared;
    }
    pass.kernels.combine(pass.launch, combine);
}

}  // namespace conclave::engine::model
