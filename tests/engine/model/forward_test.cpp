#include <atomic>
#include <cmath>
#include <limits>

#include "tests/engine/model/running.h"

namespace conclave::engine::model {
namespace {

using base::TokenId;

/// One model of each family and of what differs inside them: both forms of kv_b, FP8, windows, dense layers
/// between others.
const std::string kEveryKind[] = {
    kModels + "/deepseek-v3-tiny",      kModels + "/deepseek-v3-tiny/model-split-mla.gguf",
    kModels + "/deepseek-v3-fp8-tiny",  kModels + "/deepseek-v2-tiny",
    kModels + "/mixtral-tiny",          kModels + "/olmoe-tiny",
    kModels + "/llama-tiny/model.gguf", kExtraModels + "/mistral-window",
    kExtraModels + "/qwen3-moe-sparse", kModels + "/deepseek-v3-wide/quantized/Q4_K_M/model.gguf",
};

class SameBits : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Models, SameBits, testing::ValuesIn(kEveryKind),
                         [](const auto& info) { return "Kind" + std::to_string(info.index); });

TEST_P(SameBits, WhateverTheSlices) {
    const auto model = mustLoad(GetParam());
    platform::Team team(2);
    const std::vector<TokenId> tokens = someTokens(*model, 150, 1);
    const std::vector<float> whole = runAlone(*model, team, tokens, tokens.size());
    ASSERT_EQ(whole.size(), tokens.size() * model->config.vocabulary);
    for (const size_t chunk : {size_t{1}, size_t{3}, size_t{64}, size_t{100}})
        EXPECT_EQ(runAlone(*model, team, tokens, chunk), whole) << "chunks of " << chunk;
}

TEST_P(SameBits, WhateverTheThreadsAndPages) {
    const auto model = mustLoad(GetParam());
    platform::Team one(1), two(2), three(3);
    const std::vector<TokenId> tokens = someTokens(*model, 130, 2);
    const std::vector<float> whole = runAlone(*model, one, tokens, tokens.size());
    EXPECT_EQ(runAlone(*model, two, tokens, tokens.size()), whole);
    EXPECT_EQ(runAlone(*model, three, tokens, 7), whole);
    EXPECT_EQ(runAlone(*model, two, tokens, 50, true), whole) << "scattered pages";
}

TEST_P(SameBits, AmongOthers) {
    const auto model = mustLoad(GetParam());
    platform::Team team(2);
    const std::vector<TokenId> mine = someTokens(*model, 70, 3), first = someTokens(*model, 33, 4),
                               last = someTokens(*model, 5, 5);
    const std::vector<float> alone = runAlone(*model, team, mine, mine.size());
    const Pages myPages(*model, 70), firstPages(*model, 33, true), lastPages(*model, 5);
    const uint32_t vocabulary = model->config.vocabulary;
    for (size_t at = 0; at < mine.size(); at += 35) {
        Step step;
        step.slices.resize(3);
        step.slices[0] = {first, 0, firstPages.span(), Slice::Logits::None, nullptr};
        step.slices[1] = {std::span(mine).subspan(at, 35), static_cast<uint32_t>(at), myPages.span(),
                          Slice::Logits::All, nullptr};
        step.slices[2] = {last, 0, lastPages.span(), Slice::Logits::Last, nullptr};
        ASSERT_EQ(model->forward(step, team), StepOutcome::Done);
        ASSERT_EQ(step.logits.size(), size_t{36} * vocabulary);
        EXPECT_TRUE(std::equal(step.logits.begin(), step.logits.begin() + 35 * vocabulary,
                               alone.begin() + static_cast<ptrdiff_t>(at * vocabulary)));
        const std::vector<float> others = runAlone(*model, team, last, last.size());
        EXPECT_TRUE(std::equal(others.end() - vocabulary, others.end(), step.logits.end() - vocabulary));
    }
}

TEST(Forward, LogitsOnlyForRowsThatAsk) {
    const auto model = mustLoad(kModels + "/llama-tiny");
    platform::Team team(1);
    const std::vector<TokenId> tokens = someTokens(*model, 9, 6);
    const Pages pages(*model, tokens.size());
    Step step;
    step.slices.push_back({tokens, 0, pages.span(), Slice::Logits::None, nullptr});
    step.logits = {1, 2, 3};
    EXPECT_EQ(model->forward(step, team), StepOutcome::Done);
    EXPECT_TRUE(step.logits.empty());
    step.slices[0].logits = Slice::Logits::Last;
    EXPECT_EQ(model->forward(step, team), StepOutcome::Done);
    EXPECT_EQ(step.logits.size(), model->config.vocabulary);
    step.slices.clear();
    EXPECT_EQ(model->forward(step, team), StepOutcome::Done);
    EXPECT_TRUE(step.logits.empty());
}

TEST(Forward, StopsBetweenLayers) {
    for (const std::string& path : kEveryKind) {
        const auto model = mustLoad(path);
        platform::Team team(1);
        const std::vector<TokenId> tokens = someTokens(*model, 4, 7);
        const Pages pages(*model, tokens.size());
        const std::atomic<bool> stop{true};
        Step step;
        step.stop = &stop;
        step.slices.push_back({tokens, 0, pages.span(), Slice::Logits::All, nullptr});
        EXPECT_EQ(model->forward(step, team), StepOutcome::Stopped) << path;
        EXPECT_TRUE(step.logits.empty());
    }
}

TEST(Forward, HalfPrecisionCacheIsCloseAndHalfAsLarge) {
    LoadOptions options;
    options.kv = kernels::KvType::F16;
    const auto exact = mustLoad(kModels + "/deepseek-v3-tiny"),
               half = mustLoad(kModels + "/deepseek-v3-tiny", options);
    platform::Team team(1);
    const std::vector<TokenId> tokens = someTokens(*exact, 12, 8);
    EXPECT_EQ(exact->kv.pageBytes, size_t{4} * 64 * (32 + 8) * 4);  // layers, positions, rank + rope, float32
    EXPECT_EQ(half->kv.pageBytes * 2, exact->kv.pageBytes);
    const std::vector<float> a = runAlone(*exact, team, tokens, 12), b = runAlone(*half, team, tokens, 12);
    EXPECT_NE(a, b);
    EXPECT_NE(exact->numericsId, half->numericsId);
    EXPECT_EQ(exact->numericsId, "exact/f32/f32/2");
}

TEST(Forward, NumbersThatAreNoneLoadAndShowInTheLogits) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    for (const char* tensor : {"model.layers.1.mlp.gate.weight", "model.layers.0.self_attn.o_proj.weight"}) {
        const Copy copy(kModels + "/deepseek-v3-tiny");
        copy.fill(tensor, nan);
        const auto model = mustLoad(copy.path());
        platform::Team team(2);
        const std::vector<float> logits = runAlone(*model, team, someTokens(*model, 6, 9), 6);
        EXPECT_TRUE(std::isnan(logits.back())) << tensor;
    }
}

TEST(Forward, RunsFromMemoryAfterTheFileIsGone) {
    auto copy = std::make_unique<Copy>(kModels + "/llama-tiny");
    const auto model = mustLoad(copy->path());
    platform::Team team(1);
    const std::vector<TokenId> tokens = someTokens(*model, 20, 10);
    const std::vector<float> before = runAlone(*model, team, tokens, 20);
    std::filesystem::resize_file(copy->path() + "/model.safetensors", 100);
    copy.reset();
    EXPECT_EQ(runAlone(*model, team, tokens, 20), before);
}

}  // namespace
}  // namespace conclave::engine::model
