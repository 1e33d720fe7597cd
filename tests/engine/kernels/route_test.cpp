#include <algorithm>
#include <array>
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

/// What a router with options does to one row, in double and by sorting.
struct Steered {
    std::vector<double> scores;
    std::vector<int32_t> experts;  ///< [chosen], -1 = none
    std::vector<double> weights;
    bool close = false;  ///< a choice or a floor so near that rounding may decide it otherwise
};

Steered plainly(const RouteRule& rule, const float* logits) {
    constexpr double kClose = 1e-5;
    Steered out;
    const auto forbidden = [&](size_t e) { return rule.logitBias != nullptr && rule.logitBias[e] < -1e30f; };
    double most = -INFINITY, sum = 0;
    for (size_t e = 0; e < rule.experts; ++e) {
        const double bias = rule.logitBias == nullptr ? 0 : double{rule.logitBias[e]};
        out.scores.push_back(forbidden(e) ? -INFINITY : (logits[e] + bias) / double{rule.temperature});
        most = std::max(most, out.scores.back());
    }
    for (double& score : out.scores)
        sum += std::exp(score - most);
    for (double& score : out.scores)
        score = rule.scores == Scores::Softmax ? std::exp(score - most) / sum : 1 / (1 + std::exp(-score));
    std::vector<double> choice = out.scores;
    for (size_t e = 0; e < rule.experts; ++e)
        choice[e] = forbidden(e) ? -INFINITY : choice[e] + (rule.bias == nullptr ? 0 : double{rule.bias[e]});
    const size_t size = rule.experts / rule.groups;
    std::vector<std::pair<double, size_t>> groups;
    for (size_t g = 0; g < rule.groups; ++g) {
        std::vector<double> of(choice.begin() + static_cast<long>(g * size),
                               choice.begin() + static_cast<long>((g + 1) * size));
        std::sort(of.rbegin(), of.rend());
        groups.emplace_back(-(rule.groupScore == GroupScore::Best || size < 2 ? of[0] : of[0] + of[1]), g);
    }
    std::sort(groups.begin(), groups.end());
    for (size_t i = rule.chosenGroups; i < rule.groups; ++i) {
        if (groups[i].first - groups[rule.chosenGroups - 1].first < kClose) out.close = true;
        for (size_t e = 0; e < size; ++e)
            choice[groups[i].second * size + e] = -INFINITY;
    }
    std::vector<size_t> order(rule.experts);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return choice[a] > choice[b]; });
    for (size_t n = 0; n + 1 < rule.experts && n < rule.chosen; ++n)
        if (choice[order[n]] - choice[order[n + 1]] < kClose) out.close = true;
    double best = 0;
    sum = rule.scores == Scores::Sigmoid ? 1e-20 : 0;
    for (size_t n = 0; n < rule.chosen; ++n)
        best = std::max(best, out.scores[order[n]]);
    for (size_t n = 0; n < rule.chosen; ++n) {
        const double score = out.scores[order[n]];
        if (std::abs(score - double{rule.floor} * best) < kClose) out.close = true;
        if (score < double{rule.floor} * best) continue;
        out.experts.push_back(static_cast<int32_t>(order[n]));
        out.weights.push_back(score);
        sum += score;
    }
    for (double& weight : out.weights)
        weight = (rule.normalise ? weight / sum : weight) * double{rule.scale};
    out.experts.resize(rule.chosen, -1);
    out.weights.resize(rule.chosen, 0);
    return out;
}

TEST_P(Routing, SteeredRowsAsAPlainSecondImplementationSays) {
    uint32_t compared = 0, leftOut = 0;
    for (int round = 0; round < 300; ++round) {
        const uint32_t groups = std::array{1u, 1u, 4u, 8u}[below(random, 4)],
                       experts = groups * (3 + below(random, 9));
        RouteRule rule{.scores = below(random, 2) == 0 ? Scores::Softmax : Scores::Sigmoid,
                       .groupScore = below(random, 2) == 0 ? GroupScore::Best : GroupScore::SumOfBestTwo,
                       .experts = experts,
                       .chosen = 1 + below(random, 3),
                       .groups = groups,
                       .chosenGroups = groups == 1 ? 1u : 2u,
                       .normalise = below(random, 2) == 0,
                       .scale = below(random, 2) == 0 ? 1 : 2.5f};
        const Floats bias = Floats::random(random, 1, experts, 0.2f);
        Floats logitBias = Floats::random(random, 1, experts, 2);
        if (below(random, 2) == 0) rule.bias = bias.row(0);
        if (below(random, 2) == 0) rule.logitBias = logitBias.row(0);
        // Of each group three at least stay.
        if (below(random, 2) == 0)
            for (uint32_t e = 0; e < experts; ++e)
                if (e % (experts / groups) >= 3 && below(random, 2) == 0) logitBias.row(0)[e] = -INFINITY;
        if (below(random, 2) == 0) rule.temperature = uniform(random, 0.3f, 3);
        if (below(random, 2) == 0) rule.floor = uniform(random, 0, 0.95f);
        const Floats logits = Floats::random(random, 1 + below(random, 20), experts, 2, below(random, 3));
        const Routed got = route(rule, logits);
        for (size_t r = 0; r < logits.rows; ++r) {
            const Steered want = plainly(rule, logits.row(r));
            for (size_t e = 0; e < experts; ++e)
                ASSERT_NEAR(want.scores[e], got.scores[r * experts + e], 1e-6);
            if (want.close) continue;
            ++compared;
            for (size_t n = 0; n < rule.chosen; ++n) {
                ASSERT_EQ(want.experts[n], got.experts[r * rule.chosen + n]);
                ASSERT_NEAR(want.weights[n], got.weights[r * rule.chosen + n], 1e-5);
                leftOut += want.experts[n] < 0;
            }
        }
    }
    EXPECT_GT(compared, 1000u);
    EXPECT_GT(leftOut, 100u);
}

TEST_P(Routing, TemperatureOfASoftmaxChangesWeightsAndNotTheChoice) {
    const Floats logits = Floats::random(random, 60, 64, 3);
    RouteRule rule{.experts = 64, .chosen = 6};
    const Routed trained = route(rule, logits);
    for (const float temperature : {0.25f, 0.7f, 1.5f, 4.0f}) {
        rule.temperature = temperature;
        const Routed got = route(rule, logits);
        EXPECT_EQ(got.experts, trained.experts);
        EXPECT_NE(got.weights, trained.weights);
    }
    // A sigmoid's order is that of the logits too, as long as no correction bias is added.
    rule.scores = Scores::Sigmoid;
    rule.temperature = 4;
    EXPECT_EQ(route(rule, logits).experts, trained.experts);
    const Floats bias = Floats::random(random, 1, 64, 0.3f);
    rule.bias = bias.row(0);
    const Routed hot = route(rule, logits);
    rule.temperature = 1;
    EXPECT_NE(route(rule, logits).experts, hot.experts);
}

TEST_P(Routing, OptionsThatAskForNothingChangeNoBit) {
    const Floats logits = Floats::random(random, 40, 32, 3), zeros = Floats::random(random, 1, 32, 0);
    for (const Scores scores : {Scores::Softmax, Scores::Sigmoid}) {
        RouteRule rule{.scores = scores, .experts = 32, .chosen = 4, .normalise = true};
        const Routed plain = route(rule, logits);
        rule.logitBias = zeros.row(0);
        const Routed got = route(rule, logits);
        EXPECT_EQ(got.experts, plain.experts);
        EXPECT_EQ(0u, differentBits(got.weights.data(), plain.weights.data(), plain.weights.size()));
    }
}

TEST_P(Routing, AForbiddenExpertLosesEvenWithACorrectionBias) {
    Floats logits(1, 4), bias(1, 4), logitBias(1, 4);
    std::fill_n(bias.row(0), 4, 0.0f);
    std::fill_n(logitBias.row(0), 4, 0.0f);
    bias.row(0)[2] = 100;
    logitBias.row(0)[2] = -INFINITY;
    for (const float logit : {1.0f, std::nanf("")}) {
        std::fill_n(logits.row(0), 4, logit);
        const Routed got = route({.scores = Scores::Sigmoid,
                                  .experts = 4,
                                  .chosen = 3,
                                  .bias = bias.row(0),
                                  .logitBias = logitBias.row(0)},
                                 logits);
        EXPECT_EQ(got.experts, (std::vector<int32_t>{0, 1, 3}));
    }
}

TEST_P(Routing, RowsWithFewerExpertsThanSlots) {
    const uint32_t rows = 30, experts = 16, slots = 5;
    const Floats logits = Floats::random(random, rows, experts, 2);
    const RouteRule rule{.experts = experts, .chosen = 3, .normalise = true};
    const Routed tight = route(rule, logits);
    std::vector<int32_t> ids(rows * slots, -9), forced(rows * slots, -1);
    std::vector<float> weights(rows * slots, 9), choice(rows * experts);
    forced[slots] = 7;  // row 1: one expert instead of three
    Workplace place(*GetParam(), 2, rows, experts);
    GetParam()->route(place.launch(), {logits.view(), rule, forced.data(), ids.data(), weights.data(),
                                       nullptr, choice.data(), slots});
    for (size_t r = 0; r < rows; ++r)
        for (size_t n = 0; n < slots; ++n) {
            const bool used = r == 1 ? n == 0 : n < 3;
            EXPECT_EQ(ids[r * slots + n], !used ? -1 : r == 1 ? 7 : tight.experts[r * 3 + n]);
            EXPECT_EQ(weights[r * slots + n], !used ? 0 : r == 1 ? 1 : tight.weights[r * 3 + n]);
        }
    EXPECT_EQ(0u, differentBits(choice.data() + 2 * experts, tight.scores.data() + 2 * experts, experts));
}

INSTANTIATE_TEST_SUITE_P(Rows, Routing, testing::ValuesIn(runnableKernels()), nameOf);

}  // namespace
}  // namespace conclave::engine::kernels
