#include "engine/model/attention.h"

namespace conclave::engine::model {
namespace {

using kernels::Rows;

/// RMS norm of queries or keys: over each head (Qwen3) or over the whole row (OLMoE).
void normHeads(Pass& pass, VectorId weight, uint32_t heads, Rows x) {
    const uint32_t dim = pass.config.keyDim;
    if (pass.config.qkNorm == ModelConfig::QkNorm::PerHead) x = {x.data, x.rows * heads, dim, dim};
    if (pass.config.qkNorm != ModelConfig::QkNorm::None) pass.norm(x, weight, x);
}

void rotate(Pass& pass, uint32_t heads, Rows x) {
    const RopeConfig& rope = pass.config.rope;
    pass.kernels.rope(pass.launch, {.x = x,
                                    .heads = heads,
                                    .headDim = pass.config.keyDim,
                                    .offset = 0,
                                    .dim = rope.dim,
                                    .cosines = pass.buffers.cosines,
                                    .sines = pass.buffers.sines,
                                    .interleaved = rope.interleaved});
}

}  // namespace

Attention declareAttention(TensorList& tensors, const ModelConfig& c, uint32_t layer) {
    const uint32_t queries = c.heads * c.keyDim, keys = c.kvHeads * c.keyDim, values = c.kvHeads * c.valueDim;
    const bool perHead = c.qkNorm == ModelConfig::QkNorm::PerHead;
    Attention a;
    a.query = tensors.matrix(Role::Query, layer, queries, c.hidden);
    a.key = tensors.matrix(Role::Key, layer, keys, c.hidden);
    a.value = tensors.matrix(Role::Value, layer, values, c.hidden);
    a.output = tensors.matrix(Role::Output, layer, c.hidden, c.heads * c.valueDim);
    a.queryBias = tensors.optionalVector(Role::QueryBias, layer, queries, c.qkvBias);
    a.keyBias = tensors.optionalVector(Role::KeyBias, layer, keys, c.qkvBias);
    a.valueBias = tensors.optionalVector(Role::ValueBias, layer, values, c.qkvBias);
    a.outputBias = tensors.optionalVector(Role::OutputBias, layer, c.hidden, c.outputBias);
    if (c.qkNorm != ModelConfig::QkNorm::None) {
        a.queryNorm = tensors.vector(Role::QueryNorm, layer, perHead ? c.keyDim : queries);
        a.keyNorm = tensors.vector(Role::KeyNorm, layer, perHead ? c.keyDim : keys);
    }
    return a;
}

void attend(Pass& pass, const Attention& a, uint32_t layer, kernels::ConstRows h, Rows y) {
    const Timed timed(pass, &StepTimes::attention);
    const ModelConfig& c = pass.config;
    const Rows q = pass.view(pass.buffers.q, c.heads * c.keyDim);             // [rows][heads * keyDim]
    const Rows k = pass.view(pass.buffers.k, c.kvHeads * c.keyDim);           // [rows][kvHeads * keyDim]
    const Rows v = pass.view(pass.buffers.v, c.kvHeads * c.valueDim);         // [rows][kvHeads * valueDim]
    const Rows out = pass.view(pass.buffers.attended, c.heads * c.valueDim);  // [rows][heads * valueDim]

    project(pass, {{a.query, q}, {a.key, k}, {a.value, v}}, h);
    pass.addBias(a.queryBias, q);
    pass.addBias(a.keyBias, k);
    pass.addBias(a.valueBias, v);
    normHeads(pass, a.queryNorm, c.heads, q);
    normHeads(pass, a.keyNorm, c.kvHeads, k);
    if (c.clipQkv > 0)
        for (const Rows& rows : {q, k, v})
            pass.kernels.clamp(pass.launch, c.clipQkv, rows);
    rotate(pass, c.heads, q);
    rotate(pass, c.kvHeads, k);
    pass.kernels.storeKv(pass.launch, {.k = k,
                                       .v = v,
                                       .places = pass.places(),
                                       .kv = pass.kv(layer),
                                       .kvHeads = c.kvHeads,
                                       .keyDim = c.keyDim,
                                       .valueDim = c.valueDim});
    pass.kernels.attend(pass.launch, {.q = q,
                                      .places = pass.places(),
                                      .kv = pass.kv(layer),
                                      .heads = c.heads,
                                      .kvHeads = c.kvHeads,
                                      .keyDim = c.keyDim,
                                      .valueDim = c.valueDim,
                                      .scale = c.attentionScale,
                                      .window = c.windows[layer],
                                      .out = out});
    project(pass, {{a.output, y}}, out);
    pass.addBias(a.outputBias, y);
}

}  // namespace conclave::engine::model
