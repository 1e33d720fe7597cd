#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/kernels/exponential.h"
#include "tests/engine/kernels/cases.h"

namespace conclave::engine::kernels {
namespace {

struct Routed {
    std::vector<int32_t> experts;
    std::vector<float> weights, scores;
};

class Routing : public testing::TestWithParam<const Kernels*> {
  protected:
    Routed route(const RouteRule& rule, const Floats& logits, const int32_t* forced = nullptr,
                 size_t threads = 2) {
        const size_t rows = logits.rows;
        Routed out{std::vector<int32_t>(rows * rule.chosen, -9), std::vector<float>(rows * rule.chosen),
                   std::vector<float>(rows * rule.experts)};
        Workplace place(*GetParam(), threads, logits.rows, rule.experts);
        GetParam()->route(place.launch(), {logits.view(), rule, forced, out.experts.data(),
                                           out.weights.data(), out.scores.data()});
        return out;
    }
    Random random{50};
};

using Scores = RouteRule::Scores;
using GroupScore = RouteRule::GroupScore;

/// The experts of one row by sorting, from the scores that the kernel reports.
std::vector<int32_t> sortedChoice(const RouteRule& rule, const float* scores) {
    std::vector<double> choice(rule.experts);
    for (size_t e = 0; e < rule.experts; ++e)
        choice[e] = rule.bias == nullptr ? scores[e] : scores[e] + rule.bias[e];
    const size_t size = rule.experts / rule.groups;
    std::vector<std::pair<double, size_t>> groups;
    for (size_t g = 0; g < rule.groups; ++g) {
        std::vector<double> of(choice.begin() + static_cast<long>(g * size),
                               choice.begin() + static_cast<long>((g + 1) * size));
        std::sort(of.rbegin(), of.rend());
        groups.emplace_back(-(rule.groupScore == GroupScore::Best || size < 2 ? of[0] : of[0] + of[1]), g);
    }
    std::sort(groups.begin(), groups.end());
    for (size_t i = rule.chosenGroups; i < rule.groups; ++i)
        for (size_t e = 0; e < size; ++e)
            choice[groups[i].second * size + e] = -INFINITY;
    std::vector<int32_t> order(rule.experts);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
        return choice[static_cast<size_t>(a)] > choice[static_cast<size_t>(b)];
    });
    order.resize(rule.chosen);
    return order;
}

TEST_P(Routing, ChoosesAndWeighsByTheRule) {
    const uint32_t experts = 32, rows = 100;
    const Floats bias = Floats::random(random, 1, experts, 0.3f);
    for (const Scores scores : {Scores::Softmax, Scores::Sigmoid})
        for (const GroupScore group : {GroupScore::Best, GroupScore::SumOfBestTwo})
            for (const uint32_t groups : {1u, 4u, 32u})
                for (const bool normalise : {false, true}) {
                    const RouteRule rule{.scores = scores,
                                         .groupScore = group,
                                         .experts = experts,
                                         .chosen = 4,
                                         .groups = groups,
                                         .chosenGroups = std::min(groups, groups == 32 ? 9u : 2u),
                                         .normalise = normalise,
                                         .scale = 2.5f,
                                         .bias = group == GroupScore::Best ? nullptr : bias.row(0)};
                    const Floats logits = Floats::random(random, rows, experts, 3, 2);
                    const Routed got = route(rule, logits);
                    for (size_t r = 0; r < rows; ++r) {
                        const float* own = got.scores.data() + r * experts;
                        double sum = 0;
                        for (size_t e = 0; e < experts; ++e)
                            sum += std::exp(double{logits.row(r)[e]});
                        for (size_t e = 0; e < experts; ++e) {
                            const double z = logits.row(r)[e];
                            ASSERT_NEAR(scores == Scores::Softmax ? std::exp(z) / sum
                                                                  : 1 / (1 + std::exp(-z)),
                                        own[e], 4e-7);
                        }
                        const auto want = sortedChoice(rule, own);
                        float taken = 0;
                        for (size_t n = 0; n < 4; ++n) {
                            ASSERT_EQ(want[n], got.experts[r * 4 + n]) << "row " << r << " groups " << groups;
                            taken += own[want[n]];
                        }
                        if (scores == Scores::Sigmoid) taken += 1e-20f;
                        for (size_t n = 0; n < 4; ++n)
                            ASSERT_EQ((normalise ? own[want[n]] / taken : own[want[n]]) * 2.5f,
                                      got.weights[r * 4 + n]);
                    }
                }
}

TEST_P(Routing, LeftOutGroupsLoseEvenToNegativeScores) {
    // With zeros in place of -infinity the experts of the left-out group would win.
    const Floats bias(1, 4);
    std::vector<float> low(4, -5.0f);
    const RouteRule rule{.scores = Scores::Sigmoid,
                         .groupScore = GroupScore::SumOfBestTwo,
                         .experts = 4,
                         .chosen = 2,
                         .groups = 2,
                         .chosenGroups = 1,
                         .bias = low.data()};
    Floats logits(1, 4);
    const float values[] = {1, 2, 4, 3};
    std::copy_n(values, 4, logits.row(0));
    EXPECT_EQ((std::vector<int32_t>{2, 3}), route(rule, logits).experts);
}

TEST_P(Routing, GroupsCountByTheirBestOrByTheirTwoBest) {
    Floats logits(1, 4);
    const float values[] = {3.0f, -9.0f, 2.9f, 2.8f};
    std::copy_n(values, 4, logits.row(0));
    RouteRule rule{.scores = Scores::Sigmoid, .experts = 4, .chosen = 1, .groups = 2, .chosenGroups = 1};
    rule.groupScore = GroupScore::Best;
    EXPECT_EQ(0, route(rule, logits).experts[0]);
    rule.groupScore = GroupScore::SumOfBestTwo;
    EXPECT_EQ(2, route(rule, logits).experts[0]);
}

TEST_P(Routing, TiesGoToTheLowerIndexAndNanIsStillAnExpert) {
    Floats logits(3, 8);
    std::fill_n(logits.row(0), 8, 1.0f);
    std::fill_n(logits.row(1), 8, std::nanf(""));
    const float pairs[] = {0, 5, 1, 5, 2, 5, 3, 4};
    std::copy_n(pairs, 8, logits.row(2));
    const RouteRule rule{.experts = 8, .chosen = 3};
    const Routed got = route(rule, logits);
    EXPECT_EQ((std::vector<int32_t>{0, 1, 2, 0, 1, 2, 1, 3, 5}), got.experts);
    EXPECT_TRUE(std::isnan(got.weights[3]));
}

TEST_P(Routing, ForcedExpertsGetTheRowsOwnScores) {
    const Floats logits = Floats::random(random, 3, 8, 2);
    const int32_t forced[] = {7, 0, -1, 0, 3, 4};
    const RouteRule rule{.experts = 8, .chosen = 2, .normalise = true};
    const Routed free = route(rule, logits), got = route(rule, logits, forced);
    EXPECT_EQ((std::vector<int32_t>{7, 0, free.experts[2], free.experts[3], 3, 4}), got.experts);
    const float* own = free.scores.data();
    EXPECT_EQ(own[7] / (own[7] + own[0]), got.weights[0]);
    EXPECT_EQ(own[0] / (own[7] + own[0]), got.weights[1]);
    EXPECT_EQ(free.weights[2], got.weights[2]);
}

TEST_P(Routing, ARowDoesNotKnowItsNeighboursNorTheThreads) {
    const Floats logits = Floats::random(random, 90, 160, 4);
    const RouteRule rule{.experts = 160, .chosen = 6, .groups = 8, .chosenGroups = 3, .scale = 16};
    const Routed one = route(rule, logits, nullptr, 1), three = route(rule, logits, nullptr, 3);
    EXPECT_EQ(one.experts, three.experts);
    EXPECT_EQ(0u, differentBits(one.weights.data(), three.weights.data(), one.weights.size()));
    for (uint32_t r = 0; r < 90; r += 17) {
        Floats alone(1, 160);
        std::copy_n(logits.row(r), 160, alone.row(0));
        const Routed got = route(rule, alone);
        EXPECT_EQ(0u, differentBits(got.weights.data(), one.weights.data() + r * 6, 6));
    }
}

TEST_P(Routing, TheSoftmaxFollowsTheRule) {
    const Floats logits = Floats::random(random, 5, 37, 6);
    const Routed got = route({.experts = 37, .chosen = 1}, logits);
    for (size_t r = 0; r < 5; ++r) {
        const float most = *std::max_element(logits.row(r), logits.row(r) + 37);
        float lanes[16] = {};
        for (size_t e = 0; e < 37; ++e)
            lanes[e % 16] += exponential(logits.row(r)[e] - most);
        const float sum = laneTree(lanes);
        for (size_t e = 0; e < 37; ++e)
            ASSERT_EQ(exponential(logits.row(r)[e] - most) / sum, got.scores[r * 37 + e]);
    }
}

INSTANTIATE_TEST_SUITE_P(Rows, Routing, testing::ValuesIn(runnableKernels()), nameOf);

}  // namespace
}  // namespace conclave::engine::kernels
