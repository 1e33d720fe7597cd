// Bias, masks, penalties and log probabilities.
#include "engine/sampling/choose.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/engine/sampling/oracle.h"

namespace conclave::engine::sampling {
namespace {

using testing::chooseFor;
using testing::expectDistribution;
using testing::ids;
using testing::oracleAdjusted;
using testing::OracleCase;
using testing::randomLogits;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<float> adjusted(std::vector<float> logits, const OracleCase& row) {
    std::vector<base::TokenId> tokens = ids(row.prompt);
    for (const base::TokenId token : ids(row.generated))
        tokens.push_back(token);
    adjust(logits, row.options, ids(row.masked), {tokens, row.prompt.size()});
    return logits;
}

TEST(Adjust, GoldenPenalties) {
    // Tokens 0 and 1 stand in the prompt, 1 twice and 2 once in the answer; 3 nowhere.
    OracleCase row{.prompt = {0, 1}, .generated = {1, 2, 1}};
    const std::vector<float> logits = {4, 2, -1, 3};
    row.options.penalties = {.repetition = 2};
    EXPECT_EQ(adjusted(logits, row), (std::vector<float>{2, 1, -2, 3}));
    row.options.penalties = {.frequency = 0.5f};
    EXPECT_EQ(adjusted(logits, row), (std::vector<float>{4, 1, -1.5f, 3}));
    row.options.penalties = {.presence = 0.25f};
    EXPECT_EQ(adjusted(logits, row), (std::vector<float>{4, 1.75f, -1.25f, 3}));
    row.options.penalties = {.repetition = 2, .frequency = 0.5f, .presence = 0.25f};
    EXPECT_EQ(adjusted(logits, row), (std::vector<float>{2, -0.25f, -2.75f, 3}));
    row.options.penalties = {.repetition = 2, .frequency = 0.5f, .lastTokens = 2};  // 2 and 1
    EXPECT_EQ(adjusted(logits, row), (std::vector<float>{4, 0.5f, -2.5f, 3}));
    row.options.penalties = {.repetition = 2, .frequency = 0.5f, .lastTokens = 0};
    EXPECT_EQ(adjusted(logits, row), logits);
}

TEST(Adjust, BiasAndMasksComeFirst) {
    OracleCase row{.prompt = {0, 1, 2}};
    row.options.penalties = {.repetition = 2};
    row.options.bias = {{base::TokenId{0}, -5}, {base::TokenId{1}, -kInfinity}, {base::TokenId{0}, 1}};
    row.masked = {2};
    EXPECT_EQ(adjusted({3, 1, 1, 1}, row), (std::vector<float>{-2, -kInfinity, -kInfinity, 1}));
}

TEST(Adjust, AgreesWithTheOracleAndKeepsNothing) {
    std::mt19937 random(3);
    for (int round = 0; round < 200; ++round) {
        const std::vector<float> logits = randomLogits(50, static_cast<unsigned>(round), 4);
        OracleCase row;
        for (size_t i = random() % 40; i > 0; --i)
            row.prompt.push_back(static_cast<int32_t>(random() % 50));
        for (size_t i = random() % 40; i > 0; --i)
            row.generated.push_back(static_cast<int32_t>(random() % 50));
        if (round % 3 == 0) row.masked = {static_cast<int32_t>(random() % 50)};
        if (round % 2 == 0) row.options.bias = {{base::TokenId{static_cast<int32_t>(random() % 50)}, -1.5f}};
        row.options.penalties = {.repetition = 0.5f + static_cast<float>(random() % 100) / 50,
                                 .frequency = static_cast<float>(random() % 400) / 100 - 2,
                                 .presence = static_cast<float>(random() % 400) / 100 - 2};
        if (round % 4 == 0) row.options.penalties.lastTokens = random() % 60;
        const std::vector<float> got = adjusted(logits, row);
        const std::vector<double> wanted = oracleAdjusted(logits, row);
        for (size_t i = 0; i < got.size(); ++i) {
            if (std::isinf(wanted[i]))
                ASSERT_EQ(double{got[i]}, wanted[i]);
            else
                ASSERT_NEAR(double{got[i]}, wanted[i], 1e-5) << round << " " << i;
        }
        ASSERT_EQ(adjusted(logits, row), got);
    }
}

TEST(Adjust, BrokenNumbersStayAndOthersStayFinite) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    OracleCase row{.prompt = {0, 1, 2, 3}, .masked = {1}};
    row.options.bias = {{base::TokenId{0}, -kInfinity}, {base::TokenId{4}, 100}};
    row.options.penalties = {.repetition = 0.01f};
    const std::vector<float> got = adjusted({nan, kInfinity, 3e38f, -kInfinity, 3.4e38f}, row);
    EXPECT_TRUE(std::isnan(got[0]));
    EXPECT_EQ(got[1], kInfinity);
    EXPECT_EQ(got[2], std::numeric_limits<float>::max());
    EXPECT_EQ(got[3], -kInfinity);
    EXPECT_LT(got[4], kInfinity);
    EXPECT_EQ(chooseFor({nan, 0, 0, 0, 0}, row).error().code, base::Code::InvalidNumbers);
    EXPECT_EQ(chooseFor({0, kInfinity, 0, 0, 0}, row).error().code, base::Code::InvalidNumbers);
}

TEST(Choose, AgreesWithTheOracle) {
    const std::vector<float> logits = randomLogits(40, 8, 2);
    OracleCase row{.prompt = {1, 2, 3, 2}, .generated = {7, 7, 9, 3}, .masked = {11, 12}};
    row.options = {.temperature = 0.9f,
                   .topK = 25,
                   .topP = 0.95f,
                   .minP = 0.01f,
                   .penalties = {.repetition = 1.3f, .frequency = -0.4f, .presence = 0.6f},
                   .bias = {{base::TokenId{20}, 2.5f}, {base::TokenId{21}, -kInfinity}}};
    expectDistribution(logits, row);
    row.options.typicalP = 0.8f;
    expectDistribution(logits, row);
}

TEST(Choose, ABiasOfAHundredForcesAToken) {
    OracleCase row;
    row.options.bias = {{base::TokenId{17}, 100}};
    for (uint64_t seed = 0; seed < 50; ++seed)
        ASSERT_EQ(base::toInt(chooseFor(randomLogits(100, 1, 3), row, seed)->token), 17);
    row.options = {.temperature = 0, .bias = {{base::TokenId{17}, 100}}};
    EXPECT_EQ(base::toInt(chooseFor(randomLogits(100, 1, 3), row)->token), 17);
}

TEST(Choose, WhereNothingIsLeftTheRequestIsWrongNotTheModel) {
    OracleCase row{.masked = {0}};
    row.options.bias = {{base::TokenId{1}, -kInfinity}};
    const auto chosen = chooseFor({1, 2}, row);
    ASSERT_FALSE(chosen.ok());
    EXPECT_EQ(chosen.error().code, base::Code::BadArgument);
    EXPECT_EQ(chooseFor({-kInfinity, -kInfinity}, row).error().code, base::Code::InvalidNumbers);
}

TEST(Choose, LogprobsAreOfTheUnchangedDistribution) {
    for (unsigned seed : {1u, 2u, 3u}) {
        const std::vector<float> logits = randomLogits(300, seed, 5);
        OracleCase row{.prompt = {1, 2}, .generated = {3, 4}};
        row.options = {.temperature = 0.3f,
                       .topK = 3,
                       .penalties = {.repetition = 1.7f},
                       .bias = {{base::TokenId{9}, 50}},
                       .logprobs = 20};
        const auto chosen = chooseFor(logits, row);
        ASSERT_TRUE(chosen.ok());
        EXPECT_EQ(base::toInt(chosen->token), 9);
        const double best = double{*std::ranges::max_element(logits)};
        double total = 0;
        for (const float x : logits)
            total += std::exp(double{x} - best);
        const auto logprob = [&](base::TokenId id) {
            return double{logits[static_cast<size_t>(base::toInt(id))]} - best - std::log(total);
        };
        ASSERT_TRUE(chosen->logprobs);
        EXPECT_NEAR(chosen->logprobs->chosen.logprob, logprob(base::TokenId{9}), 1e-12);
        std::vector<int32_t> order(logits.size());
        std::iota(order.begin(), order.end(), 0);
        std::ranges::stable_sort(order, [&](int32_t a, int32_t b) {
            return logits[static_cast<size_t>(a)] > logits[static_cast<size_t>(b)];
        });
        ASSERT_EQ(chosen->logprobs->top.size(), 20u);
        for (size_t i = 0; i < 20; ++i) {
            EXPECT_EQ(base::toInt(chosen->logprobs->top[i].token), order[i]);
            EXPECT_NEAR(chosen->logprobs->top[i].logprob, logprob(chosen->logprobs->top[i].token), 1e-12);
        }
    }
    EXPECT_FALSE(chooseFor({1, 2}, {})->logprobs);
}

TEST(Choose, LogprobsOfAllTokensSumToOne) {
    const std::vector<float> logits = randomLogits(130, 4, 3);
    const Logprobs all = logprobs(logits, base::TokenId{0}, 1000);
    ASSERT_EQ(all.top.size(), 130u);
    double sum = 0;
    for (const TokenLogprob& token : all.top)
        sum += std::exp(token.logprob);
    EXPECT_NEAR(sum, 1, 1e-12);
    EXPECT_EQ(logprobs({{0, -kInfinity}}, base::TokenId{1}, 5).chosen.logprob,
              -std::numeric_limits<double>::infinity());
}

TEST(Choose, TheDrawIsAFunctionOfSeedChoiceAndPosition) {
    const std::vector<float> logits = randomLogits(500, 9, 1);
    const auto tokens = [&](uint64_t seed, uint32_t choice) {
        std::vector<int32_t> out;
        OracleCase row{.prompt = {1, 2, 3}};
        for (int i = 0; i < 40; ++i) {
            out.push_back(base::toInt(chooseFor(logits, row, seed, choice)->token));
            row.generated.push_back(out.back());
        }
        return out;
    };
    EXPECT_EQ(tokens(5, 0), tokens(5, 0));
    EXPECT_NE(tokens(5, 0), tokens(5, 1));
    EXPECT_NE(tokens(5, 0), tokens(6, 0));
}

}  // namespace
}  // namespace conclave::engine::sampling
