#include <cmath>
#include <functional>
#include <gtest/gtest.h>
#include <map>

#include "engine/model/config.h"
#include "tests/engine/model/running.h"

namespace conclave::engine::model {
namespace {

using base::Code;
using base::Error;
using formats::GgufScalar;
using formats::GgufValue;
using Scaling = RopeConfig::Scaling;
using Keys = std::map<std::string, GgufValue>;

GgufValue number(float value) {
    return GgufScalar{value};
}
GgufValue count(uint32_t value) {
    return GgufScalar{value};
}
GgufValue text(const char* value) {
    return GgufScalar{std::string(value)};
}
GgufValue flag(bool value) {
    return GgufScalar{value};
}

/// The keys of a fixture without its vocabulary, and one tensor: the embedding.
Keys keysOf(const std::string& path) {
    const auto file = formats::GgufFile::open(path);
    EXPECT_TRUE(file.ok());
    Keys keys;
    for (const auto& [key, value] : file->metadata())
        if (!key.starts_with("tokenizer.")) keys[key] = value;
    keys.erase("general.alignment");  // the writer sets it
    return keys;
}

base::Result<ModelConfig> configOf(const Keys& keys, uint64_t rows, uint64_t cols) {
    std::string pattern = (std::filesystem::temp_directory_path() / "conclave-gguf-XXXXXX").string();
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    const std::string path = pattern + "/m.gguf";
    const std::vector<std::byte> zeros(rows * cols * 4);
    formats::GgufWriteTensor table{"token_embd.weight", quant::Format::F32, {rows, cols}, nullptr};
    table.write = [&](const auto& sink) { return sink(zeros); };
    std::vector<std::pair<std::string, GgufValue>> list(keys.begin(), keys.end());
    EXPECT_TRUE(formats::writeGguf(path, list, {table}, nullptr).ok());
    auto file = formats::GgufFile::open(path);
    std::filesystem::remove_all(pattern);
    if (!file.ok()) return file.error();
    return configFromGguf(*file);
}

const std::string kV3 = kModels + "/deepseek-v3-tiny/model.gguf";
const std::string kV3Split = kModels + "/deepseek-v3-tiny/model-split-mla.gguf";
const std::string kLlama = kModels + "/llama-tiny/model.gguf";

ModelConfig read(const std::string& path, const Keys& changes) {
    Keys keys = keysOf(path);
    for (const auto& [key, value] : changes)
        keys[key] = value;
    auto config = configOf(keys, 512, 64);
    EXPECT_TRUE(config.ok()) << base::render(config.error());
    return config.ok() ? *config : ModelConfig{};
}

Error refuse(const std::string& path, const Keys& changes, const std::string& without = "") {
    Keys keys = keysOf(path);
    for (const auto& [key, value] : changes)
        keys[key] = value;
    keys.erase(without);
    const auto config = configOf(keys, 512, 64);
    EXPECT_FALSE(config.ok());
    return config.ok() ? Error{} : config.error();
}

TEST(ConfigGguf, AgreesWithTheFolderItWasMadeFrom) {
    for (const char* name : {"deepseek-v3-tiny", "llama-tiny"}) {
        const auto folder = formats::openHfFolder(kModels + "/" + name, formats::Weights::WithWeights);
        const auto file = formats::GgufFile::open(kModels + "/" + name + "/model.gguf");
        ASSERT_TRUE(folder.ok() && file.ok());
        const auto a = configFromHf(*folder), b = configFromGguf(*file);
        ASSERT_TRUE(a.ok() && b.ok());
        EXPECT_EQ(a->architecture, b->architecture);
        EXPECT_EQ(a->moeLayer, b->moeLayer);
        EXPECT_EQ(a->keyDim, b->keyDim);
        EXPECT_EQ(a->sharedIntermediate, b->sharedIntermediate);
        EXPECT_FLOAT_EQ(a->attentionScale, b->attentionScale);
        EXPECT_NEAR(a->rope.attentionFactor, b->rope.attentionFactor, 1e-7);
        EXPECT_EQ(a->route.groups, b->route.groups);
        EXPECT_EQ(a->route.groupScore, b->route.groupScore);
        EXPECT_TRUE(b->rope.interleaved);
    }
}

TEST(ConfigGguf, SplitFilesSayTheSameAsWholeOnes) {
    const ModelConfig whole = read(kV3, {}), split = read(kV3Split, {});
    EXPECT_EQ(whole.keyDim, split.keyDim);
    EXPECT_EQ(whole.valueDim, split.valueDim);
    EXPECT_EQ(whole.nopeDim, split.nopeDim);
    EXPECT_EQ(whole.kvHeads, split.kvHeads);
    EXPECT_EQ(whole.attentionScale, split.attentionScale);
}

TEST(ConfigGguf, ScoresDecideTheRuleOfGroups) {
    const ModelConfig sigmoid = read(kV3, {});
    EXPECT_EQ(sigmoid.route.groupScore, kernels::RouteRule::GroupScore::SumOfBestTwo);
    const ModelConfig softmax = read(kV3, {{"deepseek2.expert_gating_func", count(1)}});
    EXPECT_EQ(softmax.route.scores, kernels::RouteRule::Scores::Softmax);
    EXPECT_EQ(softmax.route.groupScore, kernels::RouteRule::GroupScore::Best);
    EXPECT_EQ(refuse(kV3, {{"deepseek2.expert_gating_func", count(3)}}).code, Code::UnsupportedOption);
}

TEST(ConfigGguf, FilesWithoutGroupsHaveOne) {
    Keys keys = keysOf(kV3);
    keys.erase("deepseek2.expert_group_count");
    keys.erase("deepseek2.expert_group_used_count");
    const auto small = configOf(keys, 512, 64);
    ASSERT_TRUE(small.ok());
    EXPECT_EQ(small->route.groups, 1u);
    EXPECT_TRUE(small->warnings.empty());
    keys["deepseek2.expert_count"] = count(256);
    const auto large = configOf(keys, 512, 64);
    ASSERT_TRUE(large.ok());
    ASSERT_EQ(large->warnings.size(), 1u);
    EXPECT_NE(large->warnings[0].find("expert_group_count"), std::string::npos);
}

TEST(ConfigGguf, YarnOfLatentAttention) {
    const double mscale = 0.1 * std::log(4.0) + 1;
    const ModelConfig c = read(kV3, {});
    EXPECT_EQ(c.rope.scaling, Scaling::Yarn);
    EXPECT_NEAR(c.attentionScale, mscale * mscale / std::sqrt(24.0), 1e-6);
    EXPECT_EQ(c.rope.attentionFactor, 1);
    const ModelConfig half = read(kV3, {{"deepseek2.rope.scaling.yarn_log_multiplier", number(0.05f)}});
    EXPECT_NEAR(half.attentionScale, std::pow(0.05 * std::log(4.0) + 1, 2) / std::sqrt(24.0), 1e-6);
}

TEST(ConfigGguf, RopeScaling) {
    const std::string p = "llama.rope.scaling.";
    EXPECT_EQ(read(kLlama, {}).rope.scaling, Scaling::None);
    EXPECT_EQ(read(kLlama, {{p + "type", text("linear")}, {p + "factor", number(4)}}).rope.scaling,
              Scaling::Linear);
    EXPECT_EQ(read(kLlama, {{p + "type", text("none")}, {p + "factor", number(4)}}).rope.scaling,
              Scaling::None);
    EXPECT_EQ(read(kLlama, {{"llama.rope.scale_linear", number(2)}}).rope.factor, 2);
    const Keys yarn = {{p + "type", text("yarn")},
                       {p + "factor", number(4)},
                       {p + "original_context_length", count(32)},
                       {p + "yarn_beta_fast", number(16)},
                       {p + "yarn_beta_slow", number(2)},
                       {p + "yarn_attn_factor", number(0.5f)}};
    const RopeConfig rope = read(kLlama, yarn).rope;
    EXPECT_EQ(rope.scaling, Scaling::Yarn);
    EXPECT_EQ(rope.originalContext, 32u);
    EXPECT_EQ(rope.betaFast, 16);
    EXPECT_EQ(rope.betaSlow, 2);
    EXPECT_NEAR(rope.attentionFactor, 0.5 * (0.1 * std::log(4.0) + 1), 1e-12);
    EXPECT_EQ(refuse(kLlama, {{p + "type", text("longrope")}}).code, Code::UnsupportedOption);
    EXPECT_EQ(refuse(kLlama, {{p + "type", text("yarn")}, {p + "yarn_ext_factor", number(0)}}).code,
              Code::UnsupportedOption);
    EXPECT_EQ(refuse(kLlama, {{p + "type", text("linear")}, {p + "factor", number(-1)}}).code,
              Code::ValueOutOfRange);
}

TEST(ConfigGguf, LlamaWithExpertsIsMixtral) {
    const ModelConfig c =
        read(kLlama, {{"llama.expert_count", count(8)}, {"llama.expert_used_count", count(2)}});
    EXPECT_EQ(c.architecture, "mixtral");
    EXPECT_TRUE(c.route.normalise);
    EXPECT_EQ(c.expertIntermediate, c.intermediate);
    EXPECT_EQ(read(kLlama, {}).architecture, "dense");
}

TEST(ConfigGguf, WithoutAnOutputMatrixTheEmbeddingServes) {
    EXPECT_TRUE(read(kLlama, {}).tiedEmbeddings);
}

TEST(ConfigGguf, MoreTokensThanEmbeddingRows) {
    Keys keys = keysOf(kLlama);
    keys["tokenizer.ggml.tokens"] = formats::GgufArray{std::vector<std::string>(513, "x")};
    const auto config = configOf(keys, 512, 64);
    ASSERT_FALSE(config.ok());
    EXPECT_EQ(config.error().code, Code::VocabularyMismatch);
}

TEST(ConfigGguf, WrongValuesAreNamed) {
    const Error none = refuse(kLlama, {}, "llama.block_count");
    EXPECT_EQ(none.code, Code::MissingKey);
    EXPECT_NE(none.field.find("llama.block_count"), std::string::npos);
    const Error zero = refuse(kLlama, {{"llama.block_count", count(0)}});
    EXPECT_EQ(zero.code, Code::ValueOutOfRange);
    EXPECT_EQ(zero.field, "llama.block_count");
    EXPECT_EQ(refuse(kLlama, {{"llama.block_count", text("3")}}).code, Code::WrongType);
    EXPECT_EQ(refuse(kLlama, {{"llama.attention.head_count_kv", count(3)}}).code, Code::ValueOutOfRange);
    EXPECT_EQ(refuse(kLlama, {{"llama.attention.key_length", count(0)}}).code, Code::ValueOutOfRange);
    EXPECT_EQ(refuse(kLlama, {{"llama.embedding_length", count(0xffffffff)}}).code, Code::ValueOutOfRange);
    EXPECT_EQ(refuse(kLlama, {{"llama.feed_forward_length", count(0)}}).field, "width of the dense layers");
    EXPECT_EQ(refuse(kV3, {{"deepseek2.rope.dimension_count", count(24)}}).code, Code::ValueOutOfRange);
    EXPECT_EQ(refuse(kV3, {{"deepseek2.expert_used_count", count(17)}}).code, Code::ValueOutOfRange);
}

TEST(ConfigGguf, UnknownArchitectureNamesTheKnownOnes) {
    const Error error = refuse(kLlama, {{"general.architecture", text("gemma3")}});
    EXPECT_EQ(error.code, Code::UnknownArchitecture);
    for (const char* known : {"deepseek2", "llama", "qwen3moe", "olmoe", "qwen2"})
        EXPECT_NE(base::render(error).find(known), std::string::npos);
}

TEST(ConfigGguf, NormalisationIsTheArchitecturesOwnUnlessTheFileSays) {
    const Keys experts = {{"general.architecture", text("qwen3moe")}};
    Keys keys;
    for (const auto& [key, value] : keysOf(kLlama))
        keys[key.starts_with("llama.") ? "qwen3moe." + key.substr(6) : key] = value;
    keys["general.architecture"] = text("qwen3moe");
    keys["qwen3moe.expert_count"] = count(8);
    keys["qwen3moe.expert_used_count"] = count(2);
    const auto normal = configOf(keys, 512, 64);
    ASSERT_TRUE(normal.ok()) << base::render(normal.error());
    EXPECT_TRUE(normal->route.normalise);
    keys["qwen3moe.expert_weights_norm"] = flag(false);
    EXPECT_FALSE(configOf(keys, 512, 64)->route.normalise);
}

}  // namespace
}  // namespace conclave::engine::model
