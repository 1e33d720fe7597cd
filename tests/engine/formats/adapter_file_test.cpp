#include "engine/formats/adapter_file.h"

#include <gtest/gtest.h>

#include "engine/formats/module_pattern.h"
#include "tests/engine/formats/adapter_builder.h"

namespace conclave::engine::formats {
namespace {

using base::Code;
using nlohmann::json;

struct PeftAdapter : testing::Test {
    ScratchFolder folder;
    AdapterBuilder builder;
    PeftAdapter() { builder.add("x.lora_A.weight", {2, 1}, {1, 2}); }

    base::Result<AdapterFile> open() { return openAdapter(builder.writePeft(folder, "adapter")); }
    /// The sentence of an adapter whose configuration has this field.
    std::string refusal(const char* field, const json& value) {
        const json before = builder.config;
        builder.config[field] = value;
        const auto opened = open();
        builder.config = before;
        EXPECT_FALSE(opened.ok()) << field;
        return opened.ok() ? "" : base::render(opened.error());
    }
    float scaleOf(const std::string& module, uint32_t rank) {
        const auto opened = open();
        EXPECT_TRUE(opened.ok());
        const auto scale = opened->scaleOf(module, rank);
        EXPECT_TRUE(scale.ok()) << base::render(scale.error());
        return scale.ok() ? *scale : 0;
    }
};

TEST_F(PeftAdapter, SaysItsScale) {
    EXPECT_EQ(scaleOf("model.layers.0.self_attn.q_proj", 2), 2.0f);
    builder.config["use_rslora"] = true;
    EXPECT_EQ(scaleOf("model.layers.0.self_attn.q_proj", 2), static_cast<float>(4 / std::sqrt(2.0)));
}

TEST_F(PeftAdapter, PatternsGiveModulesTheirOwnRankAndAlpha) {
    builder.config["rank_pattern"] = {{"q_proj", 4}, {"layers.1.mlp.down_proj", 8}};
    builder.config["alpha_pattern"] = {{R"(layers\.\d+\.self_attn\.q_proj)", 6}};
    EXPECT_EQ(scaleOf("model.layers.0.self_attn.q_proj", 4), 1.5f);
    EXPECT_EQ(scaleOf("model.layers.1.mlp.down_proj", 8), 0.5f);
    EXPECT_EQ(scaleOf("model.layers.0.mlp.down_proj", 2), 2.0f);
    const auto opened = open();
    EXPECT_EQ(base::render(opened->scaleOf("model.layers.0.self_attn.q_proj", 2).error()),
              folder.path("adapter") + ": model.layers.0.self_attn.q_proj: rank 2 is out of range (its "
                                       "configuration says 4)");
}

TEST_F(PeftAdapter, PatternsThatDisagreeAreRefused) {
    builder.config["alpha_pattern"] = {{"q_proj", 6}, {"self_attn.q_proj", 8}};
    const auto scale = open()->scaleOf("model.layers.0.self_attn.q_proj", 2);
    ASSERT_FALSE(scale.ok());
    EXPECT_NE(base::render(scale.error()).find("another pattern means it too"), std::string::npos);
}

TEST_F(PeftAdapter, WhatWouldChangeTheResultIsRefused) {
    for (const auto& [field, value] :
         std::vector<std::pair<const char*, json>>{{"use_dora", true},
                                                   {"lora_bias", true},
                                                   {"bias", "all"},
                                                   {"fan_in_fan_out", true},
                                                   {"modules_to_save", {"lm_head"}},
                                                   {"trainable_token_indices", {1, 2}},
                                                   {"layer_replication", {{0, 4}}},
                                                   {"init_lora_weights", "pissa_niter_4"},
                                                   {"peft_type", "IA3"}})
        EXPECT_NE(refusal(field, value).find(field), std::string::npos) << field;
    for (const auto& [field, value] :
         std::vector<std::pair<const char*, json>>{{"use_dora", false},
                                                   {"modules_to_save", nullptr},
                                                   {"modules_to_save", json::array()},
                                                   {"bias", "none"},
                                                   {"init_lora_weights", "gaussian"},
                                                   {"lora_dropout", 0.1}}) {
        builder.config[field] = value;
        EXPECT_TRUE(open().ok()) << field;
    }
}

TEST_F(PeftAdapter, BadNumbersAreRefused) {
    for (const auto& [field, value] :
         std::vector<std::pair<const char*, json>>{{"r", 0},
                                                   {"r", -1},
                                                   {"r", 1u << 20},
                                                   {"r", "8"},
                                                   {"lora_alpha", "x"},
                                                   {"rank_pattern", {{"q_proj", 0}}},
                                                   {"alpha_pattern", {{"q_proj", "x"}}},
                                                   {"alora_invocation_tokens", {-1}},
                                                   {"alora_invocation_tokens", "x"}})
        EXPECT_FALSE(refusal(field, value).empty()) << field;
}

TEST_F(PeftAdapter, InvocationTokensAreRead) {
    builder.config["alora_invocation_tokens"] = {5, 6, 7};
    builder.config["peft_version"] = "0.18.1";
    const auto opened = open();
    ASSERT_TRUE(opened.ok());
    EXPECT_EQ(opened->invocationTokens, (std::vector<int32_t>{5, 6, 7}));
    EXPECT_EQ(opened->peftVersion, "0.18.1");
}

TEST_F(PeftAdapter, AFolderWithoutItsPartsIsNoAdapter) {
    EXPECT_EQ(openAdapter(folder.path()).error().code, Code::NotAnAdapter);
    EXPECT_EQ(openAdapter(folder.path("nothing")).error().code, Code::FileNotFound);
    folder.write("adapter_config.json", builder.config.dump());
    EXPECT_EQ(openAdapter(folder.path()).error().code, Code::NotAnAdapter);
    folder.write("adapter_model.bin", "pickle");
    EXPECT_NE(base::render(openAdapter(folder.path()).error()).find("never opened"), std::string::npos);
}

TEST(GgufAdapter, SaysItsScaleAndTokens) {
    const ScratchFolder folder;
    AdapterBuilder builder;
    builder.add("blk.0.attn_q.weight.lora_a", {2, 3}, std::vector<float>(6, 1));
    builder.add("blk.0.attn_q.weight.lora_b", {4, 2}, std::vector<float>(8, 1));
    const GgufMetadata tokens{{"adapter.alora.invocation_tokens", GgufArray(std::vector<uint32_t>{3, 4})}};
    const auto opened = openAdapter(builder.writeGguf(folder, "a.gguf", "llama", 6, tokens));
    ASSERT_TRUE(opened.ok()) << base::render(opened.error());
    EXPECT_EQ(opened->kind, AdapterFile::Kind::Gguf);
    EXPECT_EQ(*opened->scaleOf("blk.0.attn_q", 2), 3.0f);
    EXPECT_EQ(opened->invocationTokens, (std::vector<int32_t>{3, 4}));
    const auto plain = openAdapter(builder.writeGguf(folder, "b.gguf", "llama", 0));
    EXPECT_EQ(*plain->scaleOf("blk.0.attn_q", 2), 1.0f);
    EXPECT_EQ(openAdapter(CONCLAVE_SOURCE_DIR "/tests/fixtures/models/llama-tiny/model.gguf").error().code,
              Code::NotAnAdapter);
}

TEST(ModulePattern, MeansAsPythonDoes) {
    const auto means = [](const char* pattern, const char* module) {
        const auto result = meansModule(pattern, module, "f", "rank_pattern");
        EXPECT_TRUE(result.ok());
        return result.ok() && *result;
    };
    EXPECT_TRUE(means("q_proj", "q_proj"));
    EXPECT_TRUE(means("q_proj", "model.layers.0.self_attn.q_proj"));
    EXPECT_FALSE(means("q_proj", "model.layers.0.self_attn.eq_proj"));
    EXPECT_FALSE(means("q_proj", "model.q_proj.x"));
    EXPECT_TRUE(means("layers.(0|1).mlp.*", "model.layers.1.mlp.down_proj"));
    EXPECT_TRUE(means("^model.layers.0.x", "model.layers.0.x"));
    EXPECT_FALSE(means("a|b", "model.ab"));
}

TEST(ModulePattern, AHostileOneEndsInAnError) {
    EXPECT_EQ(meansModule("(", "x", "f", "rank_pattern").error().code, Code::ValueOutOfRange);
    EXPECT_EQ(meansModule(")|(.*", "x", "f", "rank_pattern").error().code, Code::ValueOutOfRange);
    const auto endless = meansModule("(a+)+[bc]", std::string(60, 'a'), "f", "rank_pattern");
    EXPECT_EQ(endless.error().code, Code::ValueOutOfRange);
}

}  // namespace
}  // namespace conclave::engine::formats
