#include <utility>
#include <vector>

#include "engine/model/attention.h"
#include "engine/model/ends.h"
#include "engine/model/family.h"
#include "engine/model/moe.h"

namespace conclave::engine::model {
namespace {

using kernels::Rows;

// Mixtral (arXiv 2401.04088): Mistral's attention, and in every layer experts whose softmax weights are made
// to sum to one.
constexpr NameRow kNames[] = {
    {Role::Embedding, "model.embed_tokens.weight", "token_embd.weight"},
    {Role::FinalNorm, "model.norm.weight", "output_norm.weight"},
    {Role::Head, "lm_head.weight", "output.weight"},
    {Role::AttentionNorm, "model.layers.{layer}.input_layernorm.weight", "blk.{layer}.attn_norm.weight"},
    {Role::Query, "model.layers.{layer}.self_attn.q_proj.weight", "blk.{layer}.attn_q.weight"},
    {Role::Key, "model.layers.{layer}.self_attn.k_proj.weight", "blk.{layer}.attn_k.weight"},
    {Role::Value, "model.layers.{layer}.self_attn.v_proj.weight", "blk.{layer}.attn_v.weight"},
    {Role::Output, "model.layers.{layer}.self_attn.o_proj.weight", "blk.{layer}.attn_output.weight"},
    {Role::MlpNorm, "model.layers.{layer}.post_attention_layernorm.weight", "blk.{layer}.ffn_norm.weight"},
    {Role::Router, "model.layers.{layer}.block_sparse_moe.gate.weight", "blk.{layer}.ffn_gate_inp.weight"},
    {Role::ExpertGate, "model.layers.{layer}.block_sparse_moe.experts.{expert}.w1.weight",
     "blk.{layer}.ffn_gate_exps.weight"},
    {Role::ExpertUp, "model.layers.{layer}.block_sparse_moe.experts.{expert}.w3.weight",
     "blk.{layer}.ffn_up_exps.weight"},
    {Role::ExpertDown, "model.layers.{layer}.block_sparse_moe.experts.{expert}.w2.weight",
     "blk.{layer}.ffn_down_exps.weight"},
    // files from before experts were stacked
    {Role::ExpertGate, "", "blk.{layer}.ffn_gate.{expert}.weight"},
    {Role::ExpertUp, "", "blk.{layer}.ffn_up.{expert}.weight"},
    {Role::ExpertDown, "", "blk.{layer}.ffn_down.{expert}.weight"},
};

struct Layer {
    VectorId attentionNorm, mlpNorm;
    Attention attention;
    Moe moe;
};

struct Mixtral {
    Ends ends;
    std::vector<Layer> layers;
};

bool forward(const Mixtral& model, Pass& pass) {
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
        mixExperts(pass, layer.moe, number, h, y);
        pass.add(y, x);
    }
    if (pass.stopped()) return false;
    writeLogits(pass, model.ends);
    return true;
}

Layers build(const ModelConfig& c, TensorList& tensors) {
    Mixtral model{declareEnds(tensors, c), {}};
    for (uint32_t number = 0; number < c.layers; ++number) {
        Layer layer{};
        layer.attentionNorm = tensors.vector(Role::AttentionNorm, number, c.hidden);
        layer.attention = declareAttention(tensors, c, number);
        layer.mlpNorm = tensors.vector(Role::MlpNorm, number, c.hidden);
        layer.moe = declareMoe(tensors, c, number);
        model.layers.push_back(layer);
    }
    return [model = std::move(model)](Pass& pass) { return forward(model, pass); };
}

}  // namespace

const Family kMixtral{"mixtral", kNames, build};

}  // namespace conclave::engine::model
