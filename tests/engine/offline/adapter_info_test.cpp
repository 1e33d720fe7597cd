#include "engine/offline/adapter_info.h"

#include <filesystem>
#include <gtest/gtest.h>

#include "engine/offline/check.h"
#include "engine/offline/merge.h"
#include "tests/engine/formats/adapter_builder.h"
#include "tests/engine/formats/scratch_folder.h"

namespace conclave::engine::offline {
namespace {

using base::Code;
using formats::AdapterBuilder;
using formats::GgufArray;
using formats::ScratchFolder;

const std::string kFixtures = CONCLAVE_SOURCE_DIR "/tests/fixtures";

AdapterInfo mustRead(const std::string& path, const std::string& model = "") {
    const auto info = adapterInfo(path, model);
    EXPECT_TRUE(info.ok()) << base::render(info.error());
    return info.ok() ? *info : AdapterInfo{};
}

Code codeOf(const std::string& path, const std::string& model = "") {
    const auto info = adapterInfo(path, model);
    EXPECT_FALSE(info.ok());
    return info.ok() ? Code::Internal : info.error().code;
}

TEST(AdapterInfo, SaysWhatThePatternsOfAFolderSay) {
    const AdapterInfo info = mustRead(kFixtures + "/adapters/qwen3-moe-tiny/patterns-0.21.2");
    EXPECT_EQ(info.form, "PEFT");
    EXPECT_EQ(info.peftVersion, "0.21.2");
    EXPECT_EQ(info.ranks, (std::vector<uint32_t>{1, 2, 3, 4}));
    EXPECT_EQ(info.alpha, 8);
    EXPECT_EQ(info.alphas, (std::vector<double>{6, 10, 1000}));
    EXPECT_FALSE(info.rankStabilised);
    EXPECT_TRUE(info.model.empty());
    EXPECT_FALSE(toJson(info).contains("layers"));
}

TEST(AdapterInfo, CountsWhereEveryPairGoes) {
    const AdapterInfo info =
        mustRead(kFixtures + "/adapters/qwen3-moe-tiny/both-0.21.2", kFixtures + "/models/qwen3-moe-tiny");
    EXPECT_EQ(info.pairs, 9u);  // o_proj and two fused pairs in each of three layers
    EXPECT_EQ(info.counts.pairs, info.pairs);
    EXPECT_EQ(info.counts.matrices, 3u * (1 + 3 * 16));
    ASSERT_EQ(info.counts.layers.size(), 3u);
    EXPECT_EQ(info.counts.layers[2].experts, 48u);
    EXPECT_EQ(info.targets,
              (std::vector<std::pair<std::string, uint32_t>>{{"experts (fused)", 6}, {"o_proj", 3}}));
    EXPECT_GE(info.loadedBytes, info.bytes);
    EXPECT_EQ(toJson(info)["layers"].size(), 3u);
}

TEST(AdapterInfo, SaysByWhatTheFusedFormWasDecided) {
    const auto told = [](const std::string& model, const std::string& release) {
        const AdapterInfo info =
            mustRead(kFixtures + "/adapters/" + model + "/" + release, kFixtures + "/models/" + model);
        return info.orientation + " by " + info.orientationBy;
    };
    EXPECT_EQ(told("mixtral-tiny", "both-0.18.1"), "A over outputs by shapes");
    EXPECT_EQ(told("mixtral-tiny", "both-0.21.2"), "A over inputs by shapes");
    EXPECT_EQ(told("qwen3-moe-tiny", "gate-up-0.18.1"), "A over outputs by peft_version");
    EXPECT_EQ(told("qwen3-moe-tiny", "gate-up-0.21.2"), "A over inputs by peft_version");
    EXPECT_EQ(told("qwen3-moe-tiny", "router-0.21.2"), " by ");
}

TEST(AdapterInfo, ReadsGgufFilesAndTheirTokens) {
    const ScratchFolder scratch;
    AdapterBuilder builder;
    builder.add("blk.0.attn_q.weight.lora_a", {2, 64}, std::vector<float>(128, 0.5f));
    builder.add("blk.0.attn_q.weight.lora_b", {64, 2}, std::vector<float>(128, 0.5f));
    const std::string path =
        builder.writeGguf(scratch, "a.gguf", "qwen2", 16,
                          {{"adapter.alora.invocation_tokens", GgufArray(std::vector<uint32_t>{5, 6})}});
    const AdapterInfo info = mustRead(path, kFixtures + "/models/qwen2-tiny");
    EXPECT_EQ(info.form, "GGUF");
    EXPECT_EQ(info.base, "qwen2");
    EXPECT_EQ(info.ranks, std::vector<uint32_t>{2});
    EXPECT_EQ(info.alpha, 16);
    EXPECT_EQ(info.bytes, 1024u);
    EXPECT_EQ(info.invocationTokens, (std::vector<int32_t>{5, 6}));
    EXPECT_EQ(info.counts.matrices, 1u);
}

TEST(AdapterInfo, WarnsOfOneThatChangesNothing) {
    const ScratchFolder scratch;
    AdapterBuilder builder;
    builder.add("blk.0.attn_q.weight.lora_a", {2, 64}, std::vector<float>(128, 0.5f));
    builder.add("blk.0.attn_q.weight.lora_b", {64, 2}, std::vector<float>(128));
    const std::string path = builder.writeGguf(scratch, "fresh.gguf", "qwen2", 16);
    EXPECT_TRUE(mustRead(path).warnings.empty()) << "nothing is attached without a model";
    const AdapterInfo info = mustRead(path, kFixtures + "/models/qwen2-tiny");
    ASSERT_EQ(info.warnings.size(), 1u);
    EXPECT_NE(info.warnings[0].find("fresh.gguf changes nothing"), std::string::npos) << info.warnings[0];
    EXPECT_EQ(toJson(info)["warnings"].size(), 1u);
    const auto merged = mergeAdapters({.model = kFixtures + "/models/qwen2-tiny",
                                       .adapters = {{path, 1}},
                                       .destination = scratch.path("merged.gguf"),
                                       .quant = quant::Format::F32},
                                      {});
    ASSERT_TRUE(merged.ok()) << base::render(merged.error());
    EXPECT_NE(merged->written.warnings.front().find("changes nothing"), std::string::npos);
    for (const std::string& file : {path, scratch.path("merged.gguf")})
        EXPECT_EQ(check({.model = file, .golden = kFixtures + "/models/qwen2-tiny"}).ok(), file != path);
    EXPECT_EQ(check({.model = path}).error().code, Code::IsAnAdapter);
    const auto checked = check({.model = kFixtures + "/models/qwen2-tiny",
                                .adapter = path,
                                .golden = kFixtures + "/models/qwen2-tiny"});
    ASSERT_TRUE(checked.ok()) << base::render(checked.error());
    EXPECT_NE(checked->warnings.front().find("changes nothing"), std::string::npos);
    builder.tensors["blk.0.attn_q.weight.lora_b"].values[100] = 1e-20f;
    const std::string trained = builder.writeGguf(scratch, "trained.gguf", "qwen2", 16);
    EXPECT_TRUE(mustRead(trained, kFixtures + "/models/qwen2-tiny").warnings.empty());
}

TEST(AdapterInfo, RefusesWhatLoadingRefuses) {
    EXPECT_EQ(codeOf(kFixtures + "/models/qwen2-tiny"), Code::NotAnAdapter);
    EXPECT_EQ(codeOf(kFixtures + "/nothing"), Code::FileNotFound);
    const std::string adapter = kFixtures + "/models/mixtral-tiny/adapters/experts";
    EXPECT_EQ(codeOf(adapter, kFixtures + "/models/qwen2-tiny"), Code::AdapterMismatch);
    EXPECT_EQ(mustRead(adapter).form, "PEFT");
}

}  // namespace
}  // namespace conclave::engine::offline
