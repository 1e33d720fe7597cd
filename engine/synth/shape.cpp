#include "engine/synth/shape.h"

namespace conclave::engine::synth {
namespace {

// Sources: config.json of deepseek-ai/DeepSeek-V2-Lite, Qwen/Qwen3-30B-A3B, allenai/OLMoE-1B-7B-0924,
// Qwen/Qwen2.5-Coder-1.5B, mistralai/Mixtral-8x7B-v0.1 and deepseek-ai/DeepSeek-V3 on Hugging Face.
// Mixtral's own vocabulary is SentencePiece's; here it is as large and byte-level like the others.
constexpr Shape kShapes[] = {
    {"deepseek-v2-lite", R"({
        "model_type": "deepseek_v2", "num_hidden_layers": 27, "hidden_size": 2048, "vocab_size": 102400,
        "max_position_embeddings": 163840, "intermediate_size": 10944, "rms_norm_eps": 1e-6,
        "num_attention_heads": 16, "num_key_value_heads": 16, "kv_lora_rank": 512, "q_lora_rank": null,
        "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128,
        "n_routed_experts": 64, "num_experts_per_tok": 6, "moe_intermediate_size": 1408,
        "n_shared_experts": 2, "first_k_dense_replace": 1, "moe_layer_freq": 1,
        "scoring_func": "softmax", "topk_method": "greedy", "n_group": 1, "topk_group": 1,
        "norm_topk_prob": false, "routed_scaling_factor": 1.0, "rope_theta": 10000,
        "rope_scaling": {"type": "yarn", "factor": 40, "original_max_position_embeddings": 4096,
                         "beta_fast": 32, "beta_slow": 1, "mscale": 0.707, "mscale_all_dim": 0.707}})",
     "deepseek-llm"},
    {"qwen3-30b-a3b", R"({
        "model_type": "qwen3_moe", "num_hidden_layers": 48, "hidden_size": 2048, "vocab_size": 151936,
        "max_position_embeddings": 40960, "intermediate_size": 6144, "rms_norm_eps": 1e-6,
        "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128, "rope_theta": 1000000,
        "num_experts": 128, "num_experts_per_tok": 8, "moe_intermediate_size": 768,
        "norm_topk_prob": true, "decoder_sparse_step": 1, "mlp_only_layers": []})",
     "qwen2"},
    {"olmoe-1b-7b", R"({
        "model_type": "olmoe", "num_hidden_layers": 16, "hidden_size": 2048, "vocab_size": 50304,
        "max_position_embeddings": 4096, "intermediate_size": 1024, "rms_norm_eps": 1e-5,
        "num_attention_heads": 16, "num_key_value_heads": 16, "rope_theta": 10000,
        "num_experts": 64, "num_experts_per_tok": 8, "norm_topk_prob": false})",
     "olmo"},
    {"qwen2.5-coder-1.5b", R"({
        "model_type": "qwen2", "num_hidden_layers": 28, "hidden_size": 1536, "vocab_size": 151936,
        "max_position_embeddings": 32768, "intermediate_size": 8960, "rms_norm_eps": 1e-6,
        "num_attention_heads": 12, "num_key_value_heads": 2, "rope_theta": 1000000,
        "tie_word_embeddings": true})",
     "qwen2"},
    {"mixtral-8x7b", R"({
        "model_type": "mixtral", "num_hidden_layers": 32, "hidden_size": 4096, "vocab_size": 32000,
        "max_position_embeddings": 32768, "intermediate_size": 14336, "rms_norm_eps": 1e-5,
        "num_attention_heads": 32, "num_key_value_heads": 8, "rope_theta": 1000000,
        "num_local_experts": 8, "num_experts_per_tok": 2})",
     "gpt-2"},
    // Without the layer that predicts a second token.
    {"deepseek-v3", R"({
        "model_type": "deepseek_v3", "num_hidden_layers": 61, "hidden_size": 7168, "vocab_size": 129280,
        "max_position_embeddings": 163840, "intermediate_size": 18432, "rms_norm_eps": 1e-6,
        "num_attention_heads": 128, "num_key_value_heads": 128, "kv_lora_rank": 512, "q_lora_rank": 1536,
        "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128,
        "n_routed_experts": 256, "num_experts_per_tok": 8, "moe_intermediate_size": 2048,
        "n_shared_experts": 1, "first_k_dense_replace": 3, "moe_layer_freq": 1,
        "scoring_func": "sigmoid", "topk_method": "noaux_tc", "n_group": 8, "topk_group": 4,
        "norm_topk_prob": true, "routed_scaling_factor": 2.5, "rope_theta": 10000,
        "rope_scaling": {"type": "yarn", "factor": 40, "original_max_position_embeddings": 4096,
                         "beta_fast": 32, "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 1.0}})",
     "deepseek-v3"},
    // Nobody's model: DeepSeek-V2's attention with few and large experts, 236 B in all and 21 B active.
    {"seed-236b", R"({
        "model_type": "deepseek_v2", "num_hidden_layers": 60, "hidden_size": 5120, "vocab_size": 102400,
        "max_position_embeddings": 163840, "intermediate_size": 12288, "rms_norm_eps": 1e-6,
        "num_attention_heads": 128, "num_key_value_heads": 128, "kv_lora_rank": 512, "q_lora_rank": 1536,
        "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128,
        "n_routed_experts": 64, "num_experts_per_tok": 2, "moe_intermediate_size": 3840,
        "n_shared_experts": 1, "first_k_dense_replace": 1, "moe_layer_freq": 1,
        "scoring_func": "softmax", "topk_method": "greedy", "n_group": 1, "topk_group": 1,
        "norm_topk_prob": false, "routed_scaling_factor": 1.0, "rope_theta": 10000,
        "rope_scaling": {"type": "yarn", "factor": 40, "original_max_position_embeddings": 4096,
                         "beta_fast": 32, "beta_slow": 1, "mscale": 0.707, "mscale_all_dim": 0.707}})",
     "deepseek-llm"},
};

}  // namespace

std::span<const Shape> shapes() {
    return kShapes;
}

}  // namespace conclave::engine::synth
