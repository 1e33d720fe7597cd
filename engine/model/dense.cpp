#include <utility>
#include <vector>

#include "engine/model/attention.h"
#include "engine/model/ends.h"
#include "engine/model/family.h"
#include "engine/model/mlp.h"

namespace conclave::engine::model {
namespace {

using kernels::Rows;

// Llama (Touvron et al. 2023), Mistral and Qwen2: grouped-query attention and a gated MLP in every layer.
constexpr NameRow kNames[] = {
    {Role::Embedding, "model.embed_tokens.weight", "token_embd.weight"},
    {Role::FinalNorm, "model.norm.weight", "output_norm.weight"},
    {Role::Head, "lm_head.weight", "output.weight"},
    {Role::AttentionNorm, "model.layers.{layer}.input_layernorm.weight", "blk.{layer}.attn_norm.weight"},
    {Role::Query, "model.layers.{layer}.self_attn.q_proj.weight", "blk.{layer}.attn_q.weight"},
    {Role::QueryBias, "model.layers.{layer}.self_attn.q_proj.bias", "blk.{layer}.attn_q.bias"},
    {Role::Key, "model.layers.{layer}.self_attn.k_proj.weight", "blk.{layer}.attn_k.weight"},
    {Role::KeyBias, "model.layers.{layer}.self_attn.k_proj.bias", "blk.{layer}.attn_k.bias"},
    {Role::Value, "model.layers.{layer}.self_attn.v_proj.weight", "blk.{layer}.attn_v.weight"},
    {Role::ValueBias, "model.layers.{layer}.self_attn.v_proj.bias", "blk.{layer}.attn_v.bias"},
    {Role::Output, "model.layers.{layer}.self_attn.o_proj.weight", "blk.{layer}.attn_output.weight"},
    {Role::OutputBias, "model.layers.{layer}.self_attn.o_proj.bias", "blk.{layer}.attn_output.bias"},
    {Role::MlpNorm, "model.layers.{layer}.post_attention_layernorm.weight", "blk.{layer}.ffn_norm.weight"},
    {Role::Gate, "model.layers.{layer}.mlp.gate_proj.weight", "blk.{layer}.ffn_gate.weight"},
    {Role::GateBias, "model.layers.{layer}.mlp.gate_proj.bias", "blk.{layer}.ffn_gate.bias"},
    {Role::Up, "model.layers.{layer}.mlp.up_proj.weight", "blk.{layer}.ffn_up.weight"},
    {Role::UpBias, "model.layers.{layer}.mlp.up_proj.bias", "blk.{layer}.ffn_up.bias"},
    {Role::Down, "model.layers.{layer}.mlp.down_proj.weight", "blk.{layer}.ffn_down.weight"},
    {Role::DownBias, "model.layers.{layer}.mlp.down_proj.bias", "blk.{layer}.ffn_down.bias"},
};

struct Layer {
    VectorId attentionNorm, mlpNorm;
    Attention attention;
    Mlp mlp;
};

struct Dense {
    Ends ends;
    std::vector<Layer> layers;
};

bool forward(const Dense& model, Pass& pass) {
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
        {
            const Timed timed(pass, &StepTimes::feedForward);
            feedForward(pass, layer.mlp, h, y);
        }
        pass.add(y, x);
    }
    if (pass.stopped()) return false;
    writeLogits(pass, model.ends);
    return true;
}

Layers build(const ModelConfig& c, TensorList& tensors) {
    Dense model{declareEnds(tensors, c), {}};
    for (uint32_t number = 0; number < c.layers; ++number) {
        Layer layer{};
        layer.attentionNorm = tensors.vector(Role::AttentionNorm, number, c.hidden);
        layer.attention = declareAttention(tensors, c, number);
        layer.mlpNorm = tensors.vector(Role::MlpNorm, number, c.hidden);
        layer.mlp = declareMlp(tensors, c, number);
        model.layers.push_back(layer);
    }
    return [model = std::move(model)](Pass& pass) { return forward(model, pass); };
}

}  // namespace

const Family kDense{"dense", kNames, build};

}  // namespace conclave::engine::model
