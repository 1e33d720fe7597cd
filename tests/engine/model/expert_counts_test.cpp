#include "engine/model/expert_counts.h"

#include "tests/engine/model/running.h"

namespace conclave::engine::model {
namespace {

using base::TokenId;

/// Counts made from a trace, the slow way.
std::vector<uint32_t> counted(const RouteTrace::Layer& layer) {
    std::vector<uint32_t> out(layer.experts);
    for (const int32_t id : layer.ids)
        ++out[static_cast<size_t>(id)];
    return out;
}

std::vector<uint32_t> layerOf(const ExpertCounts& counts, uint32_t layer) {
    const auto row = counts.layer(layer);
    return {row.begin(), row.end()};
}

TEST(ExpertCounts, AreThoseOfTheTraceOfEachSlice) {
    for (const std::string name : {"deepseek-v3-tiny", "mixtral-tiny", "olmoe-tiny", "qwen3-moe-tiny"}) {
        const auto model = mustLoad(kModels + "/" + name);
        platform::Team team(2);
        const std::vector<TokenId> a = someTokens(*model, 19, 5), b = someTokens(*model, 1, 6),
                                   c = someTokens(*model, 7, 7);
        const Pages pagesA(*model, 19), pagesB(*model, 1), pagesC(*model, 7);
        RouteTrace traceA, traceC;
        ExpertCounts countsA(model->config), countsC(model->config);
        Step step;
        step.slices.push_back({.tokens = a, .pages = pagesA.span(), .trace = &traceA, .counts = &countsA});
        step.slices.push_back({.tokens = b, .pages = pagesB.span()});
        step.slices.push_back({.tokens = c, .pages = pagesC.span(), .trace = &traceC, .counts = &countsC});
        ASSERT_EQ(model->forward(step, team), StepOutcome::Done);
        ASSERT_EQ(countsA.layers(), traceA.layers.size()) << name;
        const std::vector<uint32_t> layers = layersWithExperts(model->config);
        for (uint32_t i = 0; i < countsA.layers(); ++i) {
            EXPECT_EQ(layers[i], traceA.layers[i].layer) << name;
            EXPECT_EQ(layerOf(countsA, i), counted(traceA.layers[i])) << name;
            EXPECT_EQ(layerOf(countsC, i), counted(traceC.layers[i])) << name;
        }
    }
}

TEST(ExpertCounts, AddUpOverStepsUntilTheyAreCleared) {
    const auto model = mustLoad(kModels + "/olmoe-tiny");
    platform::Team team(1);
    const std::vector<TokenId> tokens = someTokens(*model, 12, 9);
    const Pages pages(*model, 12);
    ExpertCounts whole(model->config), first(model->config), second(model->config);
    const auto run = [&](size_t from, size_t count, ExpertCounts& counts) {
        Step step;
        step.slices.push_back({.tokens = std::span(tokens).subspan(from, count),
                               .start = static_cast<uint32_t>(from),
                               .pages = pages.span(),
                               .counts = &counts});
        EXPECT_EQ(model->forward(step, team), StepOutcome::Done);
    };
    run(0, 12, whole);
    run(0, 5, first);
    run(5, 7, second);
    first.add(second);
    for (uint32_t layer = 0; layer < whole.layers(); ++layer)
        EXPECT_EQ(layerOf(first, layer), layerOf(whole, layer));
    run(0, 5, second);
    EXPECT_EQ(layerOf(second, 0), layerOf(whole, 0)) << "a step adds to what was there";
    second.clear();
    EXPECT_EQ(layerOf(second, 0), std::vector<uint32_t>(model->config.experts));
}

TEST(ExpertCounts, ChangeNoBit) {
    const auto model = mustLoad(kModels + "/deepseek-v2-tiny");
    platform::Team team(2);
    const std::vector<TokenId> tokens = someTokens(*model, 9, 3);
    const Pages pages(*model, 9);
    ExpertCounts counts(model->config);
    StepTimes times;
    Step step;
    step.times = &times;
    step.slices.push_back(
        {.tokens = tokens, .pages = pages.span(), .logits = Slice::Logits::All, .counts = &counts});
    ASSERT_EQ(model->forward(step, team), StepOutcome::Done);
    EXPECT_EQ(step.logits, runAlone(*model, team, tokens, 9));
    EXPECT_GT(times.counting, 0u);
    EXPECT_LT(times.counting, times.router);
}

TEST(ExpertCounts, ADenseModelHasNone) {
    const auto model = mustLoad(kModels + "/llama-tiny");
    const ExpertCounts counts(model->config);
    EXPECT_TRUE(counts.empty());
    EXPECT_EQ(counts.layers(), 0u);
    EXPECT_TRUE(layersWithExperts(model->config).empty());
}

TEST(ExpertCounts, LayersHaveTheirOwnNumbers) {
    const auto sparse = mustLoad(kExtraModels + "/qwen3-moe-sparse");
    EXPECT_EQ(layersWithExperts(sparse->config), std::vector<uint32_t>{1});
    const auto deepseek = mustLoad(kModels + "/deepseek-v3-tiny");
    EXPECT_EQ(layersWithExperts(deepseek->config), (std::vector<uint32_t>{1, 2, 3}));
}

}  // namespace
}  // namespace conclave::engine::model
