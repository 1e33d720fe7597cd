#include <span>
#include <utility>
#include <vector>

#include "engine/model/ends.h"
#include "engine/model/family.h"
#include "engine/model/mlp.h"
#include "engine/model/moe.h"

namespace conclave::engine::model {
namespace {

using kernels::ConstRows;
using kernels::Rows;

// DeepSeek-V2 (arXiv 2405.04434) and V3 (arXiv 2412.19437): latent attention; dense layers first, then layers
// of routed experts with a shared one.
constexpr NameRow kNames[] = {
    {Role::Embedding, "model.embed_tokens.weight", "token_embd.weight"},
    {Role::FinalNorm, "model.norm.weight", "output_norm.weight"},
    {Role::Head, "lm_head.weight", "output.weight"},
    {Role::AttentionNorm, "model.layers.{layer}.input_layernorm.weight", "blk.{layer}.attn_norm.weight"},
    {Role::Query, "model.layers.{layer}.self_attn.q_proj.weight", "blk.{layer}.attn_q.weight"},
    {Role::QueryA, "model.layers.{layer}.self_attn.q_a_proj.weight", "blk.{layer}.attn_q_a.weight"},
    {Role::QueryABias, "model.layers.{layer}.self_attn.q_a_proj.bias", "blk.{layer}.attn_q_a.bias"},
    {Role::QueryANorm, "model.layers.{layer}.self_attn.q_a_layernorm.weight",
     "blk.{layer}.attn_q_a_norm.weight"},
    {Role::QueryB, "model.layers.{layer}.self_attn.q_b_proj.weight", "blk.{layer}.attn_q_b.weight"},
    {Role::LatentA, "model.layers.{layer}.self_attn.kv_a_proj_with_mqa.weight",
     "blk.{layer}.attn_kv_a_mqa.weight"},
    {Role::LatentABias, "model.layers.{layer}.self_attn.kv_a_proj_with_mqa.bias",
     "blk.{layer}.attn_kv_a_mqa.bias"},
    {Role::LatentNorm, "model.layers.{layer}.self_attn.kv_a_layernorm.weight",
     "blk.{layer}.attn_kv_a_norm.weight"},
    {Role::LatentB, "model.layers.{layer}.self_attn.kv_b_proj.weight", "blk.{layer}.attn_kv_b.weight"},
    // kv_b in two, each head's key half transposed
    {Role::LatentKey, "", "blk.{layer}.attn_k_b.weight"},
    {Role::LatentValue, "", "blk.{layer}.attn_v_b.weight"},
    {Role::Output, "model.layers.{layer}.self_attn.o_proj.weight", "blk.{layer}.attn_output.weight"},
    {Role::OutputBias, "model.layers.{layer}.self_attn.o_proj.bias", "blk.{layer}.attn_output.bias"},
    {Role::MlpNorm, "model.layers.{layer}.post_attention_layernorm.weight", "blk.{layer}.ffn_norm.weight"},
    {Role::Gate, "model.layers.{layer}.mlp.gate_proj.weight", "blk.{layer}.ffn_gate.weight"},
    {Role::Up, "model.layers.{layer}.mlp.up_proj.weight", "blk.{layer}.ffn_up.weight"},
    {Role::Down, "model.layers.{layer}.mlp.down_proj.weight", "blk.{layer}.ffn_down.weight"},
    {Role::Router, "model.layers.{layer}.mlp.gate.weight", "blk.{layer}.ffn_gate_inp.weight"},
    {Role::ExpertGate, "model.layers.{layer}.mlp.experts.{expert}.gate_proj.weight",
     "blk.{layer}.ffn_gate_exps.weight"},
    {Role::ExpertUp, "model.layers.{layer}.mlp.experts.{expert}.up_proj.weight",
     "blk.{layer}.ffn_up_exps.weight"},
    {Role::ExpertDown, "model.layers.{layer}.mlp.experts.{expert}.down_proj.weight",
     "blk.{layer}.ffn_down_exps.weight"},
    {Role::RouterBias, "model.layers.{layer}.mlp.gate.e_score_correction_bias",
     "blk.{layer}.exp_probs_b.bias"},
    {Role::SharedGate, "model.layers.{layer}.mlp.shared_experts.gate_proj.weight",
     "blk.{layer}.ffn_gate_shexp.weight"},
    {Role::SharedUp, "model.layers.{layer}.mlp.shared_experts.up_proj.weight",
     "blk.{layer}.ffn_up_shexp.weight"},
    {Role::SharedDown, "model.layers.{layer}.mlp.shared_experts.down_proj.weight",
     "blk.{layer}.ffn_down_shexp.weight"},
};

/// Multi-head latent attention. What the cache holds of a position is one latent and one rotated key, shared
/// by all heads.
struct LatentAttention {
    MatrixId query = MatrixId::None;  // [heads * (nope + rope)][hidden], without a query rank
    MatrixId queryA = MatrixId::None,
             queryB = MatrixId::None;  // [queryRank][hidden], [heads * (nope + rope)][queryRank]
    VectorId queryANorm = VectorId::None, queryABias = VectorId::None;
    MatrixId latentA = MatrixId::None;  // [rank + rope][hidden]
    VectorId latentNorm = VectorId::None, latentABias = VectorId::None;
    MatrixId absorbedKey = MatrixId::None;    // a head: [rank][nope]
    MatrixId absorbedValue = MatrixId::None;  // a head: [value][rank]
    MatrixId output = MatrixId::None;         // [hidden][heads * value]
    VectorId outputBias = VectorId::None;
};

struct Layer {
    VectorId attentionNorm, mlpNorm;
    LatentAttention attention;
    bool hasExperts;
    Moe moe;  // one of the two
    Mlp mlp;
};

struct Deepseek {
    Ends ends;
    std::vector<Layer> layers;
};

/// One matrix a head: head i reads from column i * xColumns and writes from column i * yColumns on.
std::span<const Part> headParts(Pass& pass, uint32_t xColumns, uint32_t yColumns) {
    std::vector<Part>& parts = pass.buffers.parts;
    parts.clear();
    for (uint32_t head = 0; head < pass.config.heads; ++head)
        parts.push_back(
            {.matrix = head, .rows = pass.rows, .xColumn = head * xColumns, .yColumn = head * yColumns});
    return parts;
}

void rotate(Pass& pass, uint32_t heads, uint32_t headDim, uint32_t offset, Rows x) {
    pass.kernels.rope(pass.launch, {.x = x,
                                    .heads = heads,
                                    .headDim = headDim,
                                    .offset = offset,
                                    .dim = pass.config.ropeDim,
                                    .cosines = pass.buffers.cosines,
                                    .sines = pass.buffers.sines,
                                    .interleaved = pass.config.rope.interleaved});
}

/// q = queries of h, their last `rope` values of each head rotated; latent = what the cache will hold of h.
void projectInputs(Pass& pass, const LatentAttention& a, ConstRows h, Rows q, Rows latent) {
    const ModelConfig& c = pass.config;
    if (c.queryRank > 0) {
        const Rows low = pass.view(pass.buffers.queryLatent, c.queryRank);  // [rows][queryRank]
        project(pass, {{a.queryA, low}, {a.latentA, latent}}, h);
        pass.addBias(a.queryABias, low);
        pass.norm(low, a.queryANorm, low);
        project(pass, {{a.queryB, q}}, low);
    } else {
        project(pass, {{a.query, q}, {a.latentA, latent}}, h);
    }
    rotate(pass, c.heads, c.keyDim, c.nopeDim, q);
}

/// Stores each row's latent, normed, and key, rotated.
void storeLatents(Pass& pass, const LatentAttention& a, uint32_t layer, Rows latent) {
    const ModelConfig& c = pass.config;
    const uint32_t width = c.latentRank + c.ropeDim;
    const Rows normed{latent.data, pass.rows, c.latentRank, width};  // its first rank columns
    pass.addBias(a.latentABias, latent);
    pass.norm(normed, a.latentNorm, normed);
    rotate(pass, 1, width, c.latentRank, latent);
    pass.kernels.storeLatent(pass.launch, {.latent = latent, .places = pass.places(), .kv = pass.kv(layer)});
}

/// The rotated part of each query, [rows * heads][rope], beside its absorbed part.
void copyRotated(Pass& pass, Rows q, Rows absorbed) {
    const ModelConfig& c = pass.config;
    const uint32_t count = pass.rows * c.heads, width = c.latentRank + c.ropeDim;
    const Rows from{q.data + c.nopeDim, count, c.ropeDim, c.keyDim};
    const Rows to{absorbed.data + c.latentRank, count, c.ropeDim, width};
    pass.kernels.gather(pass.launch, from, {pass.buffers.counting, count}, to);
}

/// y = attention of the normed rows h, in the absorbed form: W_k^T q meets the latents themselves, and W_v is
/// applied to the weighted sum of latents (arXiv 2405.04434, 2.1.2).
void attend(Pass& pass, const LatentAttention& a, uint32_t layer, ConstRows h, Rows y) {
    const Timed timed(pass, &StepTimes::attention);
    const ModelConfig& c = pass.config;
    const uint32_t width = c.latentRank + c.ropeDim;
    const Rows q = pass.view(pass.buffers.q, c.heads * c.keyDim);             // [rows][heads * (nope + rope)]
    const Rows latent = pass.view(pass.buffers.latent, width);                // [rows][rank + rope]
    const Rows absorbed = pass.view(pass.buffers.absorbed, c.heads * width);  // [rows][heads * (rank + rope)]
    const Rows mixed =
        pass.view(pass.buffers.attendedLatent, c.heads * c.latentRank);       // [rows][heads * rank]
    const Rows out = pass.view(pass.buffers.attended, c.heads * c.valueDim);  // [rows][heads * value]

    projectInputs(pass, a, h, q, latent);
    storeLatents(pass, a, layer, latent);
    project(pass, headParts(pass, c.keyDim, width), {{a.absorbedKey, absorbed}}, q);
    copyRotated(pass, q, absorbed);
    pass.kernels.attendLatent(pass.launch, {.q = absorbed,
                                            .places = pass.places(),
                                            .kv = pass.kv(layer),
                                            .heads = c.heads,
                                            .rank = c.latentRank,
                                            .rope = c.ropeDim,
                                            .scale = c.attentionScale,
                                            .out = mixed});
    project(pass, headParts(pass, c.latentRank, c.valueDim), {{a.absorbedValue, out}}, mixed);
    project(pass, {{a.output, y}}, out);
    pass.addBias(a.outputBias, y);
}

bool forward(const Deepseek& model, Pass& pass) {
    const uint32_t hidden = pass.config.hidden;
    const Rows x = pass.view(pass.buffers.x, hidden);  // [rows][hidden], the residual stream
    const Rows h = pass.view(pass.buffers.h, hidden);  // [rows][hidden], normed
    const Rows y = pass.view(pass.buffers.y, hidden);  // [rows][hidden], output of a block
    embed(pass, model.ends);
    for (uint32_t number = 0; number < model.layers.size(); ++number) {
        if (pass.stopped()) return false;
        const Layer& layer = model.layers[number];
        pass.norm(x, layer.attentionNorm, h);
        attend(pass, layer.attention, number, h, y);
        pass.add(y, x);
        pass.norm(x, layer.mlpNorm, h);
        if (layer.hasExperts) {
            mixExperts(pass, layer.moe, number, h, y);
        } else {
            const Timed timed(pass, &StepTimes::feedForward);
            feedForward(pass, layer.mlp, h, y);
        }
        pass.add(y, x);
    }
    if (pass.stopped()) return false;
    writeLogits(pass, model.ends);
    return true;
}

LatentAttention declareLatentAttention(TensorList& tensors, const ModelConfig& c, uint32_t layer) {
    const uint32_t queries = c.heads * c.keyDim, width = c.latentRank + c.ropeDim;
    LatentAttention a;
    if (c.queryRank > 0) {
        a.queryA = tensors.matrix(Role::QueryA, layer, c.queryRank, c.hidden);
        a.queryABias = tensors.optionalVector(Role::QueryABias, layer, c.queryRank, c.qkvBias);
        a.queryANorm = tensors.vector(Role::QueryANorm, layer, c.queryRank);
        a.queryB = tensors.matrix(Role::QueryB, layer, queries, c.queryRank);
    } else {
        a.query = tensors.matrix(Role::Query, layer, queries, c.hidden);
    }
    a.latentA = tensors.matrix(Role::LatentA, layer, width, c.hidden);
    a.latentABias = tensors.optionalVector(Role::LatentABias, layer, width, c.qkvBias);
    a.latentNorm = tensors.vector(Role::LatentNorm, layer, c.latentRank);
    const TensorList::Halves halves =
        tensors.latentHalves(layer, c.heads, c.nopeDim, c.valueDim, c.latentRank);
    a.absorbedKey = halves.key;
    a.absorbedValue = halves.value;
    a.output = tensors.matrix(Role::Output, layer, c.hidden, c.heads * c.valueDim);
    a.outputBias = tensors.optionalVector(Role::OutputBias, layer, c.hidden, c.outputBias);
    return a;
}

Layers build(const ModelConfig& c, TensorList& tensors) {
    Deepseek model{declareEnds(tensors, c), {}};
    for (uint32_t number = 0; number < c.layers; ++number) {
        Layer layer{};
        layer.attentionNorm = tensors.vector(Role::AttentionNorm, number, c.hidden);
        layer.attention = declareLatentAttention(tensors, c, number);
        layer.mlpNorm = tensors.vector(Role::MlpNorm, number, c.hidden);
        layer.hasExperts = c.moeLayer[number] != 0;
        if (layer.hasExperts)
            layer.moe = declareMoe(tensors, c, number);
        else
            layer.mlp = declareMlp(tensors, c, number);
        model.layers.push_back(layer);
    }
    return [model = std::move(model)](Pass& pass) { return forward(model, pass); };
}

}  // namespace

const Family kDeepseek{"deepseek", kNames, build};

}  // namespace conclave::engine::model
