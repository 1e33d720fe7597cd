#include "engine/model/load.h"

#include "tests/engine/model/running.h"

namespace conclave::engine::model {
namespace {

using base::Code;
using base::Error;

Error errorOf(const std::string& path) {
    const auto model = loadPath(path);
    EXPECT_FALSE(model.ok());
    return model.ok() ? Error{} : model.error();
}

Error errorAfter(const std::string& folder, const std::string& key, const nlohmann::json& value) {
    const Copy copy(folder);
    copy.set(key, value);
    return errorOf(copy.path());
}

TEST(Load, OtherShapesAreNamed) {
    const Error hidden = errorAfter(kModels + "/llama-tiny", "hidden_size", 128);
    EXPECT_EQ(hidden.code, Code::TensorShape);
    EXPECT_EQ(hidden.field, "model.embed_tokens.weight");
    EXPECT_EQ(hidden.args, (std::vector<std::string>{"[512, 64]", "[512, 128]"}));
    EXPECT_EQ(errorAfter(kModels + "/llama-tiny", "vocab_size", 600).code, Code::TensorShape);
    EXPECT_EQ(errorAfter(kModels + "/llama-tiny", "num_key_value_heads", 4).field,
              "model.layers.0.self_attn.k_proj.weight");
    EXPECT_EQ(errorAfter(kModels + "/mixtral-tiny", "intermediate_size", 64).field,
              "model.layers.0.block_sparse_moe.experts.0.w1.weight");
    EXPECT_EQ(errorAfter(kModels + "/deepseek-v3-tiny", "kv_lora_rank", 64).code, Code::TensorShape);
    EXPECT_EQ(errorAfter(kModels + "/qwen3-moe-tiny", "head_dim", 32).code, Code::TensorShape);
}

TEST(Load, MissingTensorsAreNamed) {
    const Error layer = errorAfter(kModels + "/llama-tiny", "num_hidden_layers", 4);
    EXPECT_EQ(layer.code, Code::MissingTensor);
    EXPECT_EQ(layer.field, "model.layers.3.input_layernorm.weight");
    EXPECT_EQ(errorAfter(kModels + "/mixtral-tiny", "num_local_experts", 9).field,
              "model.layers.0.block_sparse_moe.gate.weight");  // its shape differs first
    EXPECT_EQ(errorAfter(kModels + "/qwen2-tiny", "tie_word_embeddings", false).field, "lm_head.weight");
    EXPECT_EQ(errorAfter(kModels + "/llama-tiny", "attention_bias", true).field,
              "model.layers.0.self_attn.q_proj.bias");
    EXPECT_EQ(errorAfter(kModels + "/deepseek-v3-tiny", "q_lora_rank", nullptr).field,
              "model.layers.0.self_attn.q_proj.weight");
}

TEST(Load, TensorsThatNobodyUsesAreErrors) {
    const Error fewer = errorAfter(kModels + "/llama-tiny", "num_hidden_layers", 2);
    EXPECT_EQ(fewer.code, Code::UnusedTensor);
    EXPECT_TRUE(fewer.field.starts_with("model.layers.2.")) << fewer.field;
    EXPECT_EQ(errorAfter(kModels + "/deepseek-v3-tiny", "n_shared_experts", 0).code, Code::UnusedTensor);
    EXPECT_EQ(errorAfter(kModels + "/deepseek-v3-tiny", "model_type", "deepseek_v2").code,
              Code::UnsupportedOption);
}

TEST(Load, PredictionLayersAreSkippedAndReported) {
    const Copy copy(kModels + "/deepseek-v3-tiny");
    copy.set("num_hidden_layers", 3);
    copy.set("num_nextn_predict_layers", 1);
    const auto model = mustLoad(copy.path());
    ASSERT_EQ(model->config.warnings.size(), 1u);
    EXPECT_NE(model->config.warnings[0].find("multi-token-prediction"), std::string::npos)
        << model->config.warnings[0];
    EXPECT_EQ(model->config.layers, 3u);
}

TEST(Load, ASecondCopyOfTheEmbeddingIsSkipped) {
    const Copy copy(kModels + "/llama-tiny");
    copy.set("tie_word_embeddings", true);
    const auto model = mustLoad(copy.path());
    ASSERT_EQ(model->config.warnings.size(), 1u);
    EXPECT_NE(model->config.warnings[0].find("lm_head.weight"), std::string::npos)
        << model->config.warnings[0];
}

TEST(Load, BothFormsOfKvBGiveTheSameBits) {
    const auto whole = mustLoad(kModels + "/deepseek-v3-tiny/model.gguf");
    const auto split = mustLoad(kModels + "/deepseek-v3-tiny/model-split-mla.gguf");
    const auto folder = mustLoad(kModels + "/deepseek-v3-tiny");
    platform::Team team(2);
    const std::vector<base::TokenId> tokens = someTokens(*whole, 40, 1);
    const std::vector<float> logits = runAlone(*whole, team, tokens, 40);
    EXPECT_EQ(runAlone(*split, team, tokens, 40), logits);
    EXPECT_EQ(runAlone(*folder, team, tokens, 40), logits);
}

TEST(Load, RoundedActivationsHaveANumericsIdOfTheirOwn) {
    LoadOptions options;
    options.activations = ActivationChoice::Int8;
    const std::string path = kModels + "/deepseek-v3-wide/quantized/Q4_K_M/model.gguf";
    const auto exact = mustLoad(path), rounded = mustLoad(path, options);
    EXPECT_EQ(rounded->numericsId, "exact/int8/f32/2");
    platform::Team team(2);
    const std::vector<base::TokenId> tokens = someTokens(*exact, 20, 2);
    EXPECT_NE(runAlone(*exact, team, tokens, 20), runAlone(*rounded, team, tokens, 20));
    EXPECT_EQ(runAlone(*rounded, team, tokens, 3), runAlone(*rounded, team, tokens, 20));
}

TEST(Load, ASmallModelRoundsItsActivationsTwice) {
    const auto& row =
        **std::ranges::find_if(kernels::allKernels(), [](const auto* k) { return k->supported(); });
    const auto int8 = static_cast<size_t>(kernels::Activation::Int8),
               twice = static_cast<size_t>(kernels::Activation::Int8x2);
    LoadOptions options;
    options.activations = ActivationChoice::Preferred;
    const auto small = mustLoad(kModels + "/deepseek-v3-wide/quantized/Q4_K_M/model.gguf", options);
    EXPECT_EQ(small->footprint.operations[int8], 0u);
    const bool rounds = row.preferred(quant::Format::Q8_0) == kernels::Activation::Int8;
    EXPECT_EQ(small->footprint.operations[twice] > 0, rounds);
}

TEST(Load, NoMemoryIsAnErrorAndNotTheEnd) {
    for (uint64_t nth = 1; nth <= 2; ++nth) {
        platform::failAllocationAfter(nth);
        EXPECT_EQ(errorOf(kModels + "/llama-tiny").code, Code::OutOfMemory) << nth;
        platform::failAllocationAfter(0);
    }
    EXPECT_NE(mustLoad(kModels + "/llama-tiny"), nullptr);
}

TEST(Load, ProgressRisesToTheWhole) {
    LoadOptions options;
    uint64_t last = 0, total = 0;
    options.progress = [&](const std::string& stage, uint64_t done, uint64_t all) {
        EXPECT_EQ(stage, "read weights");
        EXPECT_GE(done, last);
        last = done;
        total = all;
    };
    mustLoad(kModels + "/llama-tiny", options);
    EXPECT_GT(total, 700000u);
    EXPECT_EQ(last, total);
}

}  // namespace
}  // namespace conclave::engine::model
