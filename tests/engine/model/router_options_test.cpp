#include <cmath>

#include "engine/model/router_options.h"
#include "tests/engine/model/running.h"

namespace conclave::engine::model {
namespace {

constexpr float kForbid = -INFINITY;

/// Two MoE layers behind a dense one, eight experts of which two work.
ModelConfig config() {
    ModelConfig c;
    c.layers = 3;
    c.moeLayer = {0, 1, 1};
    c.experts = c.route.experts = 8;
    c.chosenExperts = c.route.chosen = 2;
    return c;
}

RouterOptions canonical(const RouterOptions& options, const ModelConfig& c = config()) {
    const auto out = canonicalRouter(options, c, "m");
    EXPECT_TRUE(out.ok()) << base::render(out.error());
    return out.ok() ? *out : RouterOptions();
}

std::string refusal(const RouterOptions& options, const ModelConfig& c = config()) {
    const auto out = canonicalRouter(options, c, "m");
    return out.ok() ? "" : base::render(out.error());
}

TEST(RouterOptions, WhatAsksForNothingIsAsTrained) {
    EXPECT_EQ(keyOf(canonical({})), "");
    EXPECT_EQ(keyOf(canonical({.active = 2})), "");
    EXPECT_EQ(keyOf(canonical({.floor = -0.0f, .biases = {{{}, 3, 0.0f}}})), "");
    EXPECT_EQ(keyOf(canonical({.biases = {{{}, 3, 1.5f}, {1u, 3, -1.5f}, {2u, 3, -1.5f}}})), "");
}

TEST(RouterOptions, TheSameInOtherWordsHasTheSameKey) {
    const std::string key = keyOf(canonical({.biases = {{{}, 3, 1.5f}, {2u, 0, 1.0f}}}));
    EXPECT_NE(key, "");
    EXPECT_EQ(keyOf(canonical({.active = 2, .biases = {{2u, 0, 1.0f}, {1u, 3, 1.5f}, {2u, 3, 1.5f}}})), key);
    EXPECT_EQ(keyOf(canonical({.biases = {{2u, 0, 0.25f}, {{}, 3, 1.5f}, {2u, 0, 0.75f}}})), key);
    EXPECT_EQ(canonical(canonical({.biases = {{{}, 3, 1.5f}}})), canonical({.biases = {{{}, 3, 1.5f}}}));
}

TEST(RouterOptions, WhatDiffersHasAnotherKey) {
    const RouterOptions all[] = {{},
                                 {.temperature = 0.5f},
                                 {.active = 1},
                                 {.active = 3},
                                 {.floor = 0.5f},
                                 {.biases = {{1u, 0, 1.0f}}},
                                 {.biases = {{2u, 0, 1.0f}}},
                                 {.biases = {{{}, 0, 1.0f}}},
                                 {.biases = {{1u, 1, 1.0f}}},
                                 {.biases = {{1u, 0, -1.0f}}},
                                 {.biases = {{1u, 0, kForbid}}}};
    for (size_t a = 0; a < std::size(all); ++a)
        for (size_t b = 0; b < a; ++b)
            EXPECT_NE(keyOf(canonical(all[a])), keyOf(canonical(all[b]))) << a << " " << b;
}

TEST(RouterOptions, AForbiddenExpertStaysSoWhateverIsAdded) {
    EXPECT_EQ(canonical({.biases = {{1u, 4, kForbid}, {{}, 4, 1000.0f}}}).biases[0].value, kForbid);
}

TEST(RouterOptions, RefusalsAreOneSentence) {
    ModelConfig dense = config();
    dense.experts = 0;
    EXPECT_EQ(refusal({.active = 2}, dense), "router: m is a dense model and has no experts to steer");
    EXPECT_EQ(refusal({.temperature = 0}),
              "router.temperature: 0 is out of range; it must be from 0.05 to 20");
    EXPECT_NE(refusal({.temperature = std::nanf("")}), "");
    EXPECT_EQ(refusal({.active = 9}), "router.active: 9 is out of range; it must be from 1 to the 8 experts "
                                      "that a token of m can reach");
    EXPECT_EQ(refusal({.floor = 1}),
              "router.floor: 1 is out of range; it must be at least 0 and less than 1");
    EXPECT_EQ(refusal({.biases = {{{}, 8, 1.0f}}}),
              "router.bias.expert: 8 is out of range; it must be from 0 to 7");
    EXPECT_EQ(refusal({.biases = {{0u, 1, 1.0f}}}),
              "router.bias.layer: 0 is out of range; it must be a layer of m that has experts, which lie in "
              "layers 1 to 2");
    EXPECT_NE(refusal({.biases = {{3u, 1, 1.0f}}}), "");
    EXPECT_NE(refusal({.biases = {{{}, 1, 1001.0f}}}), "");
    EXPECT_NE(refusal({.biases = {{{}, 1, INFINITY}}}), "");
    EXPECT_NE(refusal({.biases = {{{}, 1, std::nanf("")}}}), "");
}

std::vector<RouterOptions::Bias> forbidden(std::initializer_list<uint32_t> experts) {
    std::vector<RouterOptions::Bias> out;
    for (const uint32_t expert : experts)
        out.push_back({2u, expert, kForbid});
    return out;
}

TEST(RouterOptions, EnoughExpertsMustBeLeft) {
    EXPECT_EQ(refusal({.biases = forbidden({0, 1, 2, 3, 4, 5})}), "");
    EXPECT_EQ(
        refusal({.biases = forbidden({0, 1, 2, 3, 4, 5, 6})}),
        "router.bias: leaves 1 to choose from in layer 2, where 2 experts work on a token; forbid fewer");
    EXPECT_EQ(refusal({.active = 1, .biases = forbidden({0, 1, 2, 3, 4, 5, 6})}), "");
    EXPECT_NE(refusal({.active = 3, .biases = forbidden({0, 1, 2, 3, 4, 5})}), "");
}

TEST(RouterOptions, SoTheyMustInTheGroupsThatMayBeChosen) {
    ModelConfig c = config();  // four groups of two, of which two are chosen
    c.route.groups = 4;
    c.route.chosenGroups = 2;
    EXPECT_NE(refusal({.active = 5}, c), "");
    EXPECT_EQ(refusal({.active = 4}, c), "");
    EXPECT_EQ(refusal({.biases = forbidden({0, 2, 4, 6})}, c), "") << "any two groups hold two";
    EXPECT_NE(refusal({.active = 3, .biases = forbidden({0, 2})}, c), "");
    EXPECT_EQ(refusal({.biases = forbidden({0, 1})}, c), "") << "an empty group is never chosen";
    EXPECT_EQ(refusal({.biases = forbidden({0, 1, 2, 3, 4, 5})}, c), "");
    c.route.groupScore = kernels::RouteRule::GroupScore::SumOfBestTwo;
    EXPECT_NE(refusal({.biases = forbidden({0, 2, 4, 6})}, c), "") << "no group has two";
    EXPECT_EQ(refusal({.biases = forbidden({0, 2, 4})}, c), "") << "the one that has them is chosen";
}

}  // namespace
}  // namespace conclave::engine::model
