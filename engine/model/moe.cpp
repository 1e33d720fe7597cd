#include "engine/model/moe.h"

#include <algorithm>

#include "engine/model/routing.h"

namespace conclave::engine::model {
namespace {

using kernels::ConstRows;
using kernels::Rows;

/// Some rows of a step, so many that the buffers hold all of their slots.
struct Chunk {
    uint32_t firstRow = 0, rows = 0;
};

/// Orders the used slots of a chunk by expert, rows ascending inside an expert, and makes one part an expert
/// that somebody chose. Gives how many they are.
uint32_t sortByExpert(Pass& pass, Chunk chunk) {
    Workspace& b = pass.buffers;
    const uint32_t experts = pass.config.experts, slots = chunk.rows * pass.slots;
    const int32_t* ids = b.expertIds + size_t{chunk.firstRow} * pass.slots;
    std::fill_n(b.expertStart, experts + 1, 0u);
    for (uint32_t slot = 0; slot < slots; ++slot) {
        CONCLAVE_CHECK(ids[slot] >= -1 && ids[slot] < static_cast<int32_t>(experts));
        if (ids[slot] >= 0) ++b.expertStart[ids[slot] + 1];
    }
    for (uint32_t e = 0; e < experts; ++e)
        b.expertStart[e + 1] += b.expertStart[e];
    b.parts.clear();
    for (uint32_t e = 0; e < experts; ++e)
        if (const uint32_t first = b.expertStart[e], rows = b.expertStart[e + 1] - first; rows > 0)
            b.parts.push_back({.matrix = e, .firstRow = first, .rows = rows, .stepRows = b.sortedRow});
    const uint32_t used = b.expertStart[experts];
    for (uint32_t slot = 0; slot < slots; ++slot) {
        if (ids[slot] < 0) continue;
        const uint32_t at = b.expertStart[ids[slot]]++;
        b.sortedRow[at] = chunk.firstRow + slot / pass.slots;
        b.sortedSlot[at] = slot;
    }
    return used;
}

/// The routed experts of a chunk, and what they share.
void mixChunk(Pass& pass, const Moe& moe, Chunk chunk, ConstRows h, ConstRows shared, Rows y) {
    const ModelConfig& c = pass.config;
    Workspace& b = pass.buffers;
    const uint32_t used = sortByExpert(pass, chunk), slots = chunk.rows * pass.slots;
    const size_t firstSlot = size_t{chunk.firstRow} * pass.slots;
    const Rows sorted{b.sorted, used, c.hidden, c.hidden};                            // [used][hidden]
    const Rows gate{b.expertGate, used, c.expertIntermediate, c.expertIntermediate};  // [used][width]
    const Rows up{b.expertUp, used, c.expertIntermediate, c.expertIntermediate};      // [used][width]
    const Rows parts{b.slots, slots, c.hidden, c.hidden};                             // [slots][hidden]

    pass.kernels.gather(pass.launch, h, {b.sortedRow, used}, sorted);
    project(pass, b.parts, {{moe.gate, gate}, {moe.up, up}}, sorted);
    pass.kernels.gateUp(pass.launch, gate, up, gate);
    project(pass, b.parts, {{moe.down, sorted}}, gate);
    pass.kernels.scatter(pass.launch, sorted, {b.sortedSlot, used}, parts);
    if (shared.data != nullptr) shared = {shared.row(chunk.firstRow), chunk.rows, shared.cols, shared.stride};
    pass.kernels.combine(pass.launch, {.parts = parts,
                                       .weights = b.expertWeights + firstSlot,
                                       .slots = pass.slots,
                                       .shared = shared,
                                       .y = {y.row(chunk.firstRow), chunk.rows, y.cols, y.stride},
                                       .experts = b.expertIds + firstSlot});
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
    route(pass, moe, layer, h);
    const Timed timed(pass, &StepTimes::feedForward);
    ConstRows shared;
    if (moe.shared.width > 0) {
        const Rows out = pass.view(pass.buffers.shared, pass.config.hidden);  // [rows][hidden]
        feedForward(pass, moe.shared, h, out);
        shared = out;
    }
    // More experts than the model's own make more slots than the buffers hold for all rows at once.
    const uint32_t most = pass.buffers.expertSlots / pass.slots;
    for (uint32_t first = 0; first < pass.rows; first += most)
        mixChunk(pass, moe, {first, std::min(most, pass.rows - first)}, h, shared, y);
}

}  // namespace conclave::engine::model
