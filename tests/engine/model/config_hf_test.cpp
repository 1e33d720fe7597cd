#include <gtest/gtest.h>

#include "engine/model/config.h"

namespace conclave::engine::model {
namespace {

using base::Code;
using base::Error;
using nlohmann::json;
using Scaling = RopeConfig::Scaling;

json dense(const char* type) {
    return {{"model_type", type},     {"hidden_size", 64},        {"intermediate_size", 128},
            {"num_hidden_layers", 3}, {"num_attention_heads", 4}, {"num_key_value_heads", 2},
            {"rms_norm_eps", 1e-5},   {"vocab_size", 1000},       {"max_position_embeddings", 4096},
            {"rope_theta", 500000.0}, {"hidden_act", "silu"}};
}

json with(json config, const json& fields) {
    config.update(fields);
    return config;
}

json deepseekV3() {
    return with(dense("deepseek_v3"), {{"kv_lora_rank", 32},
                                       {"q_lora_rank", 24},
                                       {"qk_nope_head_dim", 16},
                                       {"qk_rope_head_dim", 8},
                                       {"v_head_dim", 16},
                                       {"n_routed_experts", 16},
                                       {"n_shared_experts", 2},
                                       {"num_experts_per_tok", 4},
                                       {"moe_intermediate_size", 32},
                                       {"first_k_dense_replace", 1},
                                       {"n_group", 4},
                                       {"topk_group", 2},
                                       {"norm_topk_prob", true},
                                       {"routed_scaling_factor", 2.5}});
}

ModelConfig read(const json& config) {
    formats::HfFolder folder;
    folder.path = "model";
    folder.config = json::parse(config.dump());  // as from a file: whole numbers are unsigned
    auto result = configFromHf(folder);
    EXPECT_TRUE(result.ok()) << base::render(result.error());
    return result.ok() ? *result : ModelConfig{};
}

Error refuse(const json& config) {
    formats::HfFolder folder;
    folder.path = "model";
    folder.config = json::parse(config.dump());  // as from a file: whole numbers are unsigned
    const auto result = configFromHf(folder);
    EXPECT_FALSE(result.ok()) << config.dump();
    return result.ok() ? Error{} : result.error();
}

TEST(ConfigHf, Llama) {
    const ModelConfig c = read(dense("llama"));
    EXPECT_EQ(c.architecture, "dense");
    EXPECT_EQ(c.sourceArchitecture, "llama");
    EXPECT_EQ(c.keyDim, 16u);
    EXPECT_EQ(c.valueDim, 16u);
    EXPECT_EQ(c.kvHeads, 2u);
    EXPECT_FLOAT_EQ(c.attentionScale, 0.25f);
    EXPECT_FLOAT_EQ(c.normEps, 1e-5f);
    EXPECT_EQ(c.rope.theta, 500000);
    EXPECT_EQ(c.rope.dim, 16u);
    EXPECT_FALSE(c.rope.interleaved);
    EXPECT_FALSE(c.tiedEmbeddings);
    EXPECT_EQ(c.windows, (std::vector<uint32_t>{0, 0, 0}));
    EXPECT_EQ(read(with(dense("llama"), {{"head_dim", 32}})).keyDim, 32u);
    EXPECT_EQ(read(with(dense("llama"), {{"head_dim", nullptr}})).keyDim, 16u);
}

TEST(ConfigHf, ManyHeadsWithoutKeyHeads) {
    json config = dense("llama");
    config.erase("num_key_value_heads");
    EXPECT_EQ(read(config).kvHeads, 4u);
}

TEST(ConfigHf, MistralsWindow) {
    EXPECT_EQ(read(with(dense("mistral"), {{"sliding_window", 77}})).windows[2], 77u);
    EXPECT_EQ(read(with(dense("mistral"), {{"sliding_window", nullptr}})).windows[2], 0u);
    EXPECT_EQ(read(dense("mistral")).windows[2], 4096u);  // the default of the class in transformers
    EXPECT_EQ(read(with(dense("llama"), {{"sliding_window", 77}})).windows[2], 0u);
}

TEST(ConfigHf, Qwen2sWindow) {
    const json base = with(dense("qwen2"), {{"sliding_window", 50}, {"max_window_layers", 1}});
    EXPECT_EQ(read(base).windows, (std::vector<uint32_t>{0, 0, 0}));
    EXPECT_EQ(read(with(base, {{"use_sliding_window", true}})).windows, (std::vector<uint32_t>{0, 50, 50}));
    const json types = {"full_attention", "sliding_attention", "full_attention"};
    EXPECT_EQ(read(with(base, {{"use_sliding_window", true}, {"layer_types", types}})).windows,
              (std::vector<uint32_t>{0, 50, 0}));
    EXPECT_TRUE(read(base).qkvBias);
    EXPECT_FALSE(read(base).outputBias);
}

TEST(ConfigHf, DeepseekV3) {
    const ModelConfig c = read(deepseekV3());
    EXPECT_EQ(c.architecture, "deepseek");
    EXPECT_EQ(c.keyDim, 24u);
    EXPECT_EQ(c.nopeDim, 16u);
    EXPECT_EQ(c.sharedIntermediate, 64u);
    EXPECT_EQ(c.moeLayer, (std::vector<uint8_t>{0, 1, 1}));
    EXPECT_TRUE(c.rope.interleaved);
    EXPECT_EQ(c.route.scores, kernels::RouteRule::Scores::Sigmoid);
    EXPECT_EQ(c.route.groupScore, kernels::RouteRule::GroupScore::SumOfBestTwo);
    EXPECT_EQ(c.route.groups, 4u);
    EXPECT_EQ(c.route.chosenGroups, 2u);
    EXPECT_TRUE(c.route.normalise);
    EXPECT_FLOAT_EQ(c.route.scale, 2.5f);
    EXPECT_FLOAT_EQ(c.attentionScale, static_cast<float>(1 / std::sqrt(24.0)));
    EXPECT_FALSE(read(with(deepseekV3(), {{"rope_interleave", false}})).rope.interleaved);
    EXPECT_EQ(read(with(deepseekV3(), {{"moe_layer_freq", 2}})).moeLayer, (std::vector<uint8_t>{0, 0, 1}));
    EXPECT_EQ(read(with(deepseekV3(), {{"n_group", nullptr}, {"topk_group", nullptr}})).route.groups, 1u);
}

TEST(ConfigHf, DeepseekV2) {
    json config = with(deepseekV3(),
                       {{"model_type", "deepseek_v2"}, {"q_lora_rank", nullptr}, {"norm_topk_prob", false}});
    ModelConfig c = read(with(config, {{"topk_method", "group_limited_greedy"}}));
    EXPECT_EQ(c.queryRank, 0u);
    EXPECT_EQ(c.route.scores, kernels::RouteRule::Scores::Softmax);
    EXPECT_EQ(c.route.groupScore, kernels::RouteRule::GroupScore::Best);
    EXPECT_EQ(c.route.groups, 4u);
    EXPECT_FALSE(c.route.normalise);
    EXPECT_FLOAT_EQ(c.route.scale, 2.5f);
    EXPECT_EQ(read(with(config, {{"topk_method", "greedy"}})).route.groups, 1u);
    EXPECT_EQ(refuse(with(config, {{"topk_method", "noaux_tc"}})).field, "topk_method");
}

TEST(ConfigHf, Experts) {
    const json mixtral = with(dense("mixtral"), {{"num_local_experts", 8}, {"num_experts_per_tok", 2}});
    EXPECT_TRUE(read(mixtral).route.normalise);
    EXPECT_EQ(read(mixtral).expertIntermediate, 128u);
    const json qwen = with(dense("qwen3_moe"), {{"num_experts", 8},
                                                {"num_experts_per_tok", 2},
                                                {"moe_intermediate_size", 48},
                                                {"num_hidden_layers", 4},
                                                {"decoder_sparse_step", 2},
                                                {"mlp_only_layers", {3}}});
    EXPECT_EQ(read(qwen).moeLayer, (std::vector<uint8_t>{0, 1, 0, 0}));
    EXPECT_FALSE(read(qwen).route.normalise);
    EXPECT_EQ(read(qwen).qkNorm, ModelConfig::QkNorm::PerHead);
    EXPECT_EQ(refuse(with(qwen, {{"use_sliding_window", true}, {"sliding_window", 100}})).code,
              Code::UnsupportedOption);
    const json olmoe =
        with(dense("olmoe"), {{"num_experts", 8}, {"num_experts_per_tok", 2}, {"clip_qkv", 8}});
    EXPECT_EQ(read(olmoe).qkNorm, ModelConfig::QkNorm::Whole);
    EXPECT_FLOAT_EQ(read(olmoe).clipQkv, 8);
}

TEST(ConfigHf, RopeScaling) {
    const auto scaled = [](const json& scaling) {
        return read(with(dense("llama"), {{"rope_scaling", scaling}})).rope;
    };
    EXPECT_EQ(scaled(nullptr).scaling, Scaling::None);
    EXPECT_EQ(scaled({{"type", "linear"}, {"factor", 4}}).scaling, Scaling::Linear);
    EXPECT_EQ(scaled({{"rope_type", "default"}}).scaling, Scaling::None);
    const RopeConfig llama3 = scaled({{"rope_type", "llama3"},
                                      {"factor", 8},
                                      {"low_freq_factor", 1},
                                      {"high_freq_factor", 4},
                                      {"original_max_position_embeddings", 8192}});
    EXPECT_EQ(llama3.scaling, Scaling::Llama3);
    EXPECT_EQ(llama3.originalContext, 8192u);
    const RopeConfig yarn =
        scaled({{"type", "yarn"}, {"factor", 4}, {"original_max_position_embeddings", 1024}});
    EXPECT_EQ(yarn.scaling, Scaling::Yarn);
    EXPECT_NEAR(yarn.attentionFactor, 0.1 * std::log(4.0) + 1, 1e-12);
    EXPECT_TRUE(yarn.truncate);
    EXPECT_EQ(scaled({{"type", "yarn"}, {"factor", 4}, {"attention_factor", 1.5}}).attentionFactor, 1.5);
    EXPECT_EQ(
        scaled({{"type", "yarn"}, {"factor", 4}, {"mscale", 1.0}, {"mscale_all_dim", 1.0}}).attentionFactor,
        1);
}

TEST(ConfigHf, YarnStretchesTheContext) {
    const json yarn = {{"type", "yarn"}, {"factor", 4}, {"original_max_position_embeddings", 4096}};
    EXPECT_EQ(read(with(dense("qwen2"), {{"rope_scaling", yarn}})).context, 16384u);
    const json longer = with(dense("qwen2"), {{"rope_scaling", yarn}, {"max_position_embeddings", 32768}});
    EXPECT_EQ(read(longer).context, 32768u);
}

TEST(ConfigHf, YarnOnLatentAttentionScalesTheScores) {
    const json yarn = {{"type", "yarn"},
                       {"factor", 40},
                       {"original_max_position_embeddings", 4096},
                       {"mscale", 1.0},
                       {"mscale_all_dim", 1.0}};
    const ModelConfig c = read(with(deepseekV3(), {{"rope_scaling", yarn}}));
    const double mscale = 0.1 * std::log(40.0) + 1;
    EXPECT_FLOAT_EQ(c.attentionScale, static_cast<float>(mscale * mscale / std::sqrt(24.0)));
    EXPECT_EQ(c.rope.attentionFactor, 1);
}

TEST(ConfigHf, RopeParametersOfTransformers5) {
    json config = dense("llama");
    config.erase("rope_theta");
    config["rope_parameters"] = {{"rope_theta", 1000000.0}, {"rope_type", "linear"}, {"factor", 2.0}};
    config["dtype"] = "bfloat16";
    EXPECT_EQ(read(config).rope.theta, 1000000);
    EXPECT_EQ(read(config).rope.scaling, Scaling::Linear);
    config["rope_parameters"] = {{"full_attention", {{"rope_theta", 10000.0}}}};
    EXPECT_EQ(refuse(config).code, Code::UnsupportedOption);
}

TEST(ConfigHf, UnknownArchitectureNamesTheKnownOnes) {
    const Error error = refuse(with(dense("llama"), {{"model_type", "gemma3"}}));
    EXPECT_EQ(error.code, Code::UnknownArchitecture);
    const std::string text = base::render(error);
    for (const char* known :
         {"deepseek_v3", "deepseek_v2", "mixtral", "qwen3_moe", "olmoe", "qwen2", "llama", "mistral"})
        EXPECT_NE(text.find(known), std::string::npos) << text;
}

TEST(ConfigHf, Unsupported) {
    const auto code = [](const json& fields) { return refuse(with(dense("llama"), fields)).code; };
    EXPECT_EQ(code({{"hidden_act", "gelu"}}), Code::UnsupportedOption);
    EXPECT_EQ(code({{"rope_scaling", {{"type", "dynamic"}, {"factor", 2}}}}), Code::UnsupportedOption);
    EXPECT_EQ(code({{"rope_scaling", {{"rope_type", "longrope"}, {"factor", 2}}}}), Code::UnsupportedOption);
    EXPECT_EQ(code({{"partial_rotary_factor", 0.5}}), Code::UnsupportedOption);
    EXPECT_EQ(code({{"quantization_config", {{"quant_method", "gptq"}, {"bits", 4}}}}),
              Code::UnsupportedFormat);
    EXPECT_EQ(code({{"quantization_config", {{"quant_method", "fp8"}}}}), Code::UnsupportedFormat);
}

TEST(ConfigHf, Fp8Blocks) {
    const json fp8 = {{"quant_method", "fp8"}, {"weight_block_size", {64, 32}}};
    const ModelConfig c = read(with(dense("llama"), {{"quantization_config", fp8}}));
    EXPECT_EQ(c.scaleBlockRows, 64u);
    EXPECT_EQ(c.scaleBlockCols, 32u);
    const json zero = {{"quant_method", "fp8"}, {"weight_block_size", {0, 32}}};
    EXPECT_EQ(refuse(with(dense("llama"), {{"quantization_config", zero}})).code, Code::ValueOutOfRange);
}

/// One wrong field each: what it is set to (discarded = erased) and what is said.
struct Wrong {
    const char* name;
    json base;
    json fields;
    Code code;
    const char* field;
};

class ConfigHfWrong : public testing::TestWithParam<Wrong> {};

TEST_P(ConfigHfWrong, IsNamed) {
    const Error error = refuse(with(GetParam().base, GetParam().fields));
    EXPECT_EQ(error.code, GetParam().code) << base::render(error);
    EXPECT_EQ(error.field, GetParam().field);
    EXPECT_EQ(error.file, "model/config.json");
}

INSTANTIATE_TEST_SUITE_P(
    Fields, ConfigHfWrong,
    testing::Values(
        Wrong{"NoLayers",
              dense("llama"),
              {{"num_hidden_layers", nullptr}},
              Code::MissingKey,
              "num_hidden_layers"},
        Wrong{"ZeroLayers",
              dense("llama"),
              {{"num_hidden_layers", 0}},
              Code::ValueOutOfRange,
              "num_hidden_layers"},
        Wrong{"ManyLayers",
              dense("llama"),
              {{"num_hidden_layers", 513}},
              Code::ValueOutOfRange,
              "num_hidden_layers"},
        Wrong{"NegativeHidden", dense("llama"), {{"hidden_size", -64}}, Code::ValueOutOfRange, "hidden_size"},
        Wrong{"HugeHidden",
              dense("llama"),
              {{"hidden_size", 1ull << 40}},
              Code::ValueOutOfRange,
              "hidden_size"},
        Wrong{"TextHidden", dense("llama"), {{"hidden_size", "64"}}, Code::WrongType, "hidden_size"},
        Wrong{"BrokenHidden", dense("llama"), {{"hidden_size", 64.5}}, Code::WrongType, "hidden_size"},
        Wrong{"HeadsDoNotDivide",
              dense("llama"),
              {{"num_attention_heads", 5}},
              Code::ValueOutOfRange,
              "num_attention_heads"},
        Wrong{"KeyHeadsDoNotDivide",
              dense("llama"),
              {{"num_key_value_heads", 3}},
              Code::ValueOutOfRange,
              "key and value heads"},
        Wrong{"OddHead", dense("llama"), {{"head_dim", 15}}, Code::ValueOutOfRange, "rotated dimensions"},
        Wrong{"NoTheta", dense("llama"), {{"rope_theta", 0}}, Code::ValueOutOfRange, "rope theta"},
        Wrong{"ListedScaling",
              dense("llama"),
              {{"rope_scaling", json::array()}},
              Code::WrongType,
              "rope_scaling"},
        Wrong{"NoFactor",
              dense("llama"),
              {{"rope_scaling", {{"type", "linear"}, {"factor", 0}}}},
              Code::ValueOutOfRange,
              "rope_scaling.factor"},
        Wrong{"GroupsDoNotDivide", deepseekV3(), {{"n_group", 3}}, Code::ValueOutOfRange, "expert groups"},
        Wrong{"MoreGroupsThanThereAre",
              deepseekV3(),
              {{"topk_group", 5}},
              Code::ValueOutOfRange,
              "chosen expert groups"},
        Wrong{"MoreExpertsThanGroupsHold",
              deepseekV3(),
              {{"num_experts_per_tok", 9}},
              Code::ValueOutOfRange,
              "chosen experts"},
        Wrong{"NoLatent", deepseekV3(), {{"kv_lora_rank", nullptr}}, Code::MissingKey, "kv_lora_rank"},
        Wrong{"OtherScores",
              deepseekV3(),
              {{"scoring_func", "softmax"}},
              Code::UnsupportedOption,
              "scoring_func"}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace conclave::engine::model
