// Rows with different options in one step: each has the bits that it has alone.
#include <algorithm>
#include <cmath>
#include <random>
#include <set>

#include "tests/engine/model/running.h"

namespace conclave::engine::model {
namespace {

using base::TokenId;
constexpr float kForbid = -INFINITY;

std::vector<float> alone(const Model& model, const std::vector<TokenId>& tokens, const RouterOptions* router,
                         RouteTrace* trace = nullptr, float cap = 0) {
    platform::Team team(2);
    const Pages pages(model, tokens.size());
    Step step;
    step.expertCap = cap;
    step.slices.push_back({.tokens = tokens,
                           .pages = pages.span(),
                           .logits = Slice::Logits::All,
                           .trace = trace,
                           .router = router});
    EXPECT_EQ(model.forward(step, team), StepOutcome::Done);
    return step.logits;
}

struct Steering : testing::TestWithParam<const char*> {
    void SetUp() override {
        LoadOptions options;
        options.maxRows = 60;
        model = mustLoad(kModels + "/" + GetParam(), options);
    }
    RouterOptions canonical(const RouterOptions& options) const {
        auto out = canonicalRouter(options, model->config, "m");
        EXPECT_TRUE(out.ok()) << base::render(out.error());
        return *out;
    }
    /// Options of every kind, the first as trained.
    std::vector<RouterOptions> several() const {
        const ModelConfig& c = model->config;
        const uint32_t reachable = c.experts / c.route.groups * c.route.chosenGroups;
        return {{},
                canonical({.temperature = 0.6f}),
                canonical({.active = 1}),
                canonical({.active = std::min(reachable, c.chosenExperts + 2)}),
                canonical({.active = reachable}),
                canonical({.floor = 0.8f}),
                canonical({.active = std::min(reachable, c.chosenExperts + 1),
                           .floor = 0.5f,
                           .biases = {{{}, 1, 2.0f}, {{}, 0, kForbid}}})};
    }
    std::shared_ptr<const Model> model;
};

TEST_P(Steering, RowsOfOneStepHaveTheBitsTheyHaveAlone) {
    const std::vector<RouterOptions> options = several();
    std::vector<std::vector<TokenId>> texts;
    std::vector<std::vector<float>> want;
    for (uint32_t i = 0; i < options.size(); ++i) {
        texts.push_back(someTokens(*model, 3 + i, i));
        want.push_back(alone(*model, texts[i], &options[i]));
    }
    EXPECT_EQ(want[0], alone(*model, texts[0], nullptr));
    platform::Team team(2);
    std::mt19937 random(7);
    for (int round = 0; round < 4; ++round) {
        std::vector<size_t> order(options.size());
        for (size_t i = 0; i < order.size(); ++i)
            order[i] = i;
        std::shuffle(order.begin(), order.end(), random);
        std::vector<Pages> pages;
        Step step;
        std::vector<float> expected;
        for (const size_t i : order) {
            pages.emplace_back(*model, texts[i].size());
            step.slices.push_back({.tokens = texts[i],
                                   .pages = pages.back().span(),
                                   .logits = Slice::Logits::All,
                                   .router = &options[i]});
            expected.insert(expected.end(), want[i].begin(), want[i].end());
        }
        ASSERT_EQ(model->forward(step, team), StepOutcome::Done);
        EXPECT_EQ(step.logits, expected);
    }
}

TEST_P(Steering, EachOptionDoesSomethingOfItsOwn) {
    const std::vector<TokenId> text = someTokens(*model, 40, 3);
    std::vector<std::vector<float>> all;
    for (const RouterOptions& options : several())
        all.push_back(alone(*model, text, &options));
    for (size_t a = 0; a < all.size(); ++a)
        for (size_t b = 0; b < a; ++b)
            EXPECT_TRUE(several()[a] == several()[b] || all[a] != all[b]) << a << " " << b;
}

TEST_P(Steering, ManyExpertsInChunksOfRowsGiveTheSameBits) {
    const ModelConfig& c = model->config;
    const RouterOptions options = canonical({.active = c.experts / c.route.groups * c.route.chosenGroups});
    const std::vector<TokenId> text = someTokens(*model, 60, 5);  // more slots than the buffers hold
    platform::Team team(2);
    const Pages pages(*model, text.size());
    std::vector<float> piecewise;
    for (size_t at = 0; at < text.size(); at += 7) {
        Step step;
        step.slices.push_back({.tokens = std::span(text).subspan(at, std::min<size_t>(7, text.size() - at)),
                               .start = static_cast<uint32_t>(at),
                               .pages = pages.span(),
                               .logits = Slice::Logits::All,
                               .router = &options});
        ASSERT_EQ(model->forward(step, team), StepOutcome::Done);
        piecewise.insert(piecewise.end(), step.logits.begin(), step.logits.end());
    }
    EXPECT_EQ(piecewise, alone(*model, text, &options));
}

TEST_P(Steering, TracesSayWhoWorkedAndForceIt) {
    const std::vector<TokenId> text = someTokens(*model, 30, 8);
    for (const RouterOptions& options : several()) {
        RouteTrace trace;
        const std::vector<float> logits = alone(*model, text, &options, &trace);
        const uint32_t active = activeExperts(&options, model->config);
        RouteTrace forcing;
        for (const RouteTrace::Layer& layer : trace.layers) {
            ASSERT_EQ(layer.chosen, active);
            ASSERT_EQ(layer.ids.size(), text.size() * active);
            for (size_t row = 0; row < text.size(); ++row) {
                std::set<int32_t> seen;
                float best = 0;
                for (size_t n = 0; n < active; ++n) {
                    const int32_t id = layer.ids[row * active + n];
                    if (id < 0) continue;
                    EXPECT_TRUE(seen.insert(id).second);
                    best = std::max(best, layer.scores[row * layer.experts + static_cast<size_t>(id)]);
                }
                EXPECT_FALSE(seen.empty());
                EXPECT_TRUE(options.floor > 0 || seen.size() == active);
                for (const int32_t id : seen)
                    EXPECT_GE(layer.scores[row * layer.experts + static_cast<size_t>(id)],
                              options.floor * best);
                for (const RouterOptions::Bias& bias : options.biases)
                    EXPECT_FALSE(bias.value == kForbid && seen.contains(static_cast<int32_t>(bias.expert)));
            }
            forcing.layers.emplace_back().forced = layer.ids;
        }
        EXPECT_EQ(alone(*model, text, &options, &forcing), logits);
    }
}

TEST_P(Steering, ACapLevelsTheLoadOfAStepAndDependsOnIt) {
    const std::vector<TokenId> text = someTokens(*model, 50, 2);
    const auto most = [&](const RouteTrace& trace) {
        uint32_t out = 0;
        for (const RouteTrace::Layer& layer : trace.layers) {
            std::vector<uint32_t> counts(layer.experts);
            for (const int32_t id : layer.ids)
                out = std::max(out, ++counts[static_cast<size_t>(id)]);
        }
        return out;
    };
    RouteTrace free, capped;
    const std::vector<float> trained = alone(*model, text, nullptr, &free);
    const std::vector<float> got = alone(*model, text, nullptr, &capped, 1.25f);
    const ModelConfig& c = model->config;
    if (c.route.groups == 1) {  // else a row may find no room in its groups
        EXPECT_LE(most(capped), std::ceil(1.25 * 50 * c.chosenExperts / c.experts));
    }
    EXPECT_LT(most(capped), most(free));
    EXPECT_NE(got, trained);
    const std::vector<TokenId> first(text.begin(), text.begin() + 1);
    EXPECT_EQ(alone(*model, first, nullptr, nullptr, 1.25f), alone(*model, first, nullptr));
}

INSTANTIATE_TEST_SUITE_P(Models, Steering,
                         testing::Values("deepseek-v2-tiny", "deepseek-v3-tiny", "mixtral-tiny",
                                         "qwen3-moe-tiny", "olmoe-tiny"),
                         [](const auto& info) {
                             std::string name = info.param;
                             std::ranges::replace(name, '-', '_');
                             return name;
                         });

TEST(SteeredModel, ACapHasANumericsIdOfItsOwn) {
    LoadOptions options;
    const auto plain = mustLoad(kModels + "/mixtral-tiny", options);
    options.expertCap = 1.5f;
    const auto capped = mustLoad(kModels + "/mixtral-tiny", options);
    EXPECT_EQ(capped->numericsId, plain->numericsId + "/cap1.5");
    EXPECT_EQ(capped->expertCap, 1.5f);
    const auto dense = mustLoad(kModels + "/llama-tiny", options);
    EXPECT_EQ(dense->numericsId, plain->numericsId) << "without experts there is nothing to cap";
}

}  // namespace
}  // namespace conclave::engine::model
