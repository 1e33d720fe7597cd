#include "engine/model/routing.h"

#include <algorithm>

#include "engine/model/expert_cap.h"
#include "engine/model/expert_counts.h"

namespace conclave::engine::model {
namespace {

using kernels::ConstRows;
using kernels::Rows;

RouteTrace::Layer& traceLayer(RouteTrace& trace, uint32_t index) {
    if (trace.layers.size() <= index) trace.layers.resize(index + 1);
    return trace.layers[index];
}

/// Copies rows of `active` values to rows of pass.slots.
void copyForced(const Pass& pass, const std::vector<int32_t>& forced, uint32_t active, int32_t* at) {
    for (const int32_t id : forced)
        CONCLAVE_CHECK(id >= -1 && id < static_cast<int32_t>(pass.config.experts));
    for (size_t from = 0; from < forced.size(); from += active, at += pass.slots) {
        std::copy_n(forced.data() + from, active, at);
        std::fill(at + active, at + pass.slots, -1);
    }
}

/// The experts that the slices' traces force on this layer, [rows][slots]; null where none does.
const int32_t* gatherForced(Pass& pass) {
    int32_t* at = pass.buffers.forced;
    bool any = false;
    for (const Slice& slice : pass.step.slices) {
        const size_t rows = slice.tokens.size();
        const uint32_t active = activeExperts(slice.router, pass.config);
        const RouteTrace::Layer* layer = nullptr;
        if (slice.trace != nullptr && slice.trace->layers.size() > pass.moeLayers)
            layer = &slice.trace->layers[pass.moeLayers];
        if (layer != nullptr && !layer->forced.empty()) {
            CONCLAVE_CHECK(layer->forced.size() == rows * active);
            copyForced(pass, layer->forced, active, at);
            any = true;
        } else {
            std::fill_n(at, rows * pass.slots, -1);
        }
        at += rows * pass.slots;
    }
    return any ? pass.buffers.forced : nullptr;
}

template <class T> std::vector<T> tightened(const T* from, size_t rows, size_t stride, size_t count) {
    std::vector<T> out;
    out.reserve(rows * count);
    for (size_t r = 0; r < rows; ++r)
        out.insert(out.end(), from + r * stride, from + r * stride + count);
    return out;
}

void writeTraces(Pass& pass, uint32_t layerNumber) {
    const ModelConfig& c = pass.config;
    size_t row = 0;
    for (const Slice& slice : pass.step.slices) {
        const size_t rows = slice.tokens.size();
        if (slice.trace != nullptr) {
            RouteTrace::Layer& layer = traceLayer(*slice.trace, pass.moeLayers);
            const float* scores = pass.buffers.routerScores + row * c.experts;
            layer.layer = layerNumber;
            layer.experts = c.experts;
            layer.chosen = activeExperts(slice.router, c);
            layer.ids = tightened(pass.buffers.expertIds + row * pass.slots, rows, pass.slots, layer.chosen);
            layer.weights =
                tightened(pass.buffers.expertWeights + row * pass.slots, rows, pass.slots, layer.chosen);
            layer.scores.assign(scores, scores + rows * c.experts);
        }
        row += rows;
    }
}

/// The logit biases of a layer as the kernel wants them; null where there are none.
const float* logitBias(Pass& pass, const RouterOptions& options, uint32_t layer) {
    const auto layerOf = [](const RouterOptions::Bias& bias) { return *bias.layer; };
    auto bias = std::ranges::lower_bound(options.biases, layer, {}, layerOf);
    const auto end = options.biases.end();
    if (bias == end || layerOf(*bias) != layer) return nullptr;
    std::fill_n(pass.buffers.logitBias, pass.config.experts, 0.0f);
    for (; bias != end && layerOf(*bias) == layer; ++bias)
        pass.buffers.logitBias[bias->expert] = bias->value;
    return pass.buffers.logitBias;
}

/// Chooses and weighs the experts of rows that are routed in the same way.
void routeRun(Pass& pass, const Moe& moe, uint32_t layer, const RouterRows& run, const int32_t* forced) {
    const ModelConfig& c = pass.config;
    Workspace& b = pass.buffers;
    const size_t firstSlot = size_t{run.firstRow} * pass.slots, firstScore = size_t{run.firstRow} * c.experts;
    kernels::RouteArgs args{.logits = {b.routerLogits + firstScore, run.rows, c.experts, c.experts},
                            .rule = c.route};
    args.rule.chosen = run.active;
    args.rule.bias = moe.routerBias == VectorId::None ? nullptr : pass.vector(moe.routerBias);
    args.rule.temperature = run.options->temperature;
    args.rule.logitBias = logitBias(pass, *run.options, layer);
    args.rule.floor = run.options->floor;
    args.forced = forced == nullptr ? nullptr : forced + firstSlot;
    args.experts = b.expertIds + firstSlot;
    args.weights = b.expertWeights + firstSlot;
    args.scores = b.routerScores + firstScore;
    args.choice = pass.step.expertCap == 0 ? nullptr : b.routerChoice + firstScore;
    args.slots = pass.slots;
    pass.kernels.route(pass.launch, args);
}

/// Caps what one expert takes, and weighs again what it left.
void applyCap(Pass& pass, const Moe& moe, uint32_t layer, const int32_t* forced) {
    Workspace& b = pass.buffers;
    const uint32_t moved = capExperts({.rows = pass.rows,
                                       .slots = pass.slots,
                                       .experts = pass.config.experts,
                                       .factor = pass.step.expertCap,
                                       .choice = b.routerChoice,
                                       .forced = forced,
                                       .load = b.expertLoad,
                                       .ids = b.expertIds});
    if (moved == 0) return;
    std::copy_n(b.expertIds, size_t{pass.rows} * pass.slots, b.forced);
    for (const RouterRows& run : pass.routers)
        routeRun(pass, moe, layer, run, b.forced);
}

}  // namespace

void route(Pass& pass, const Moe& moe, uint32_t layer, ConstRows h) {
    const Timed timed(pass, &StepTimes::router);
    project(pass, {{moe.router, pass.view(pass.buffers.routerLogits, pass.config.experts)}}, h);
    const int32_t* forced = gatherForced(pass);
    for (const RouterRows& run : pass.routers)
        routeRun(pass, moe, layer, run, forced);
    if (pass.step.expertCap != 0) applyCap(pass, moe, layer, forced);
    writeTraces(pass, layer);
    countExperts(pass);
    ++pass.moeLayers;
}

}  // namespace conclave::engine::model
