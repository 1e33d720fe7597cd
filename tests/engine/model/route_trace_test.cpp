#include <algorithm>
#include <set>

#include "tests/engine/model/running.h"

namespace conclave::engine::model {
namespace {

using base::TokenId;

RouteTrace traceOf(const Model& model, const std::vector<TokenId>& tokens, RouteTrace trace,
                   std::vector<float>* logits) {
    platform::Team team(2);
    const Pages pages(model, tokens.size());
    Step step;
    step.slices.push_back({tokens, 0, pages.span(), Slice::Logits::All, &trace});
    EXPECT_EQ(model.forward(step, team), StepOutcome::Done);
    if (logits != nullptr) *logits = step.logits;
    return trace;
}

TEST(RouteTrace, HoldsEveryLayerWithExperts) {
    const auto model = mustLoad(kModels + "/deepseek-v3-tiny");  // the first of four layers is dense
    const std::vector<TokenId> tokens = someTokens(*model, 10, 1);
    const RouteTrace trace = traceOf(*model, tokens, {}, nullptr);
    ASSERT_EQ(trace.layers.size(), 3u);
    for (size_t i = 0; i < trace.layers.size(); ++i) {
        const RouteTrace::Layer& layer = trace.layers[i];
        EXPECT_EQ(layer.layer, i + 1);
        EXPECT_EQ(layer.experts, 16u);
        EXPECT_EQ(layer.chosen, 4u);
        ASSERT_EQ(layer.ids.size(), 40u);
        ASSERT_EQ(layer.weights.size(), 40u);
        ASSERT_EQ(layer.scores.size(), 160u);
        for (size_t row = 0; row < 10; ++row) {
            const auto ids = layer.ids.begin() + static_cast<ptrdiff_t>(row * 4);
            EXPECT_EQ(std::set<int32_t>(ids, ids + 4).size(), 4u);
            float sum = 0;
            for (size_t slot = 0; slot < 4; ++slot)
                sum += layer.weights[row * 4 + slot];
            EXPECT_NEAR(sum, 2.5f, 1e-5f);  // normalised, then routed_scaling_factor
        }
    }
}

TEST(RouteTrace, LayersOfTheSparseFamilyAreNamedByTheirNumber) {
    const auto model = mustLoad(kExtraModels + "/qwen3-moe-sparse");
    const RouteTrace trace = traceOf(*model, someTokens(*model, 3, 2), {}, nullptr);
    ASSERT_EQ(trace.layers.size(), 1u);  // of layers 0 to 3 only 1: every second, and 3 is listed as dense
    EXPECT_EQ(trace.layers[0].layer, 1u);
}

TEST(RouteTrace, ForcingOwnChoicesChangesNothing) {
    const auto model = mustLoad(kModels + "/mixtral-tiny");
    const std::vector<TokenId> tokens = someTokens(*model, 25, 3);
    std::vector<float> freely, forcedly;
    const RouteTrace first = traceOf(*model, tokens, {}, &freely);
    RouteTrace forcing;
    for (const RouteTrace::Layer& layer : first.layers)
        forcing.layers.emplace_back().forced = layer.ids;
    const RouteTrace second = traceOf(*model, tokens, forcing, &forcedly);
    EXPECT_EQ(freely, forcedly);
    EXPECT_EQ(first.layers[2].ids, second.layers[2].ids);
}

TEST(RouteTrace, ForcedRowsTakeTheirExpertsWithTheRoutersOwnWeights) {
    const auto model = mustLoad(kModels + "/olmoe-tiny");  // weights are the softmax scores as they are
    const std::vector<TokenId> tokens = someTokens(*model, 6, 4);
    std::vector<float> freely, forcedly;
    const RouteTrace first = traceOf(*model, tokens, {}, &freely);
    RouteTrace forcing;
    forcing.layers.resize(1);
    forcing.layers[0].forced.assign(24, -1);
    const std::vector<int32_t> wanted = {15, 3, 0, 7};
    std::copy(wanted.begin(), wanted.end(), forcing.layers[0].forced.begin() + 8);  // row 2
    const RouteTrace second = traceOf(*model, tokens, forcing, &forcedly);
    const RouteTrace::Layer &a = first.layers[0], &b = second.layers[0];
    EXPECT_TRUE(std::equal(wanted.begin(), wanted.end(), b.ids.begin() + 8));
    for (size_t slot = 0; slot < 4; ++slot)
        EXPECT_EQ(b.weights[8 + slot], b.scores[2 * 16 + static_cast<size_t>(wanted[slot])]);
    EXPECT_TRUE(std::equal(a.ids.begin(), a.ids.begin() + 8, b.ids.begin()));
    EXPECT_TRUE(std::equal(a.ids.begin() + 12, a.ids.end(), b.ids.begin() + 12));
    const ptrdiff_t vocabulary = model->config.vocabulary;
    EXPECT_TRUE(std::equal(freely.begin(), freely.begin() + 2 * vocabulary, forcedly.begin()));
    EXPECT_FALSE(std::equal(freely.begin() + 2 * vocabulary, freely.begin() + 3 * vocabulary,
                            forcedly.begin() + 2 * vocabulary));
    EXPECT_EQ(second.layers.size(), first.layers.size());
}

TEST(RouteTrace, EachSliceHasItsOwn) {
    const auto model = mustLoad(kModels + "/mixtral-tiny");
    platform::Team team(1);
    const std::vector<TokenId> a = someTokens(*model, 5, 5), b = someTokens(*model, 8, 6);
    const RouteTrace alone = traceOf(*model, b, {}, nullptr);
    RouteTrace first, second;
    const Pages pagesA(*model, 5), pagesB(*model, 8);
    Step step;
    step.slices.push_back({a, 0, pagesA.span(), Slice::Logits::None, &first});
    step.slices.push_back({b, 0, pagesB.span(), Slice::Logits::None, &second});
    ASSERT_EQ(model->forward(step, team), StepOutcome::Done);
    for (size_t layer = 0; layer < 3; ++layer) {
        EXPECT_EQ(first.layers[layer].ids.size(), 10u);
        EXPECT_EQ(second.layers[layer].ids, alone.layers[layer].ids);
        EXPECT_EQ(second.layers[layer].scores, alone.layers[layer].scores);
    }
}

}  // namespace
}  // namespace conclave::engine::model
