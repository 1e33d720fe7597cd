#include "engine/sampling/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "tests/engine/sampling/oracle.h"

namespace conclave::engine::sampling {
namespace {

using testing::expectDistribution;
using testing::oracleProbabilities;
using testing::randomLogits;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

int32_t choose(const std::vector<float>& logits, const SamplerOptions& options, uint64_t seed = 1,
               uint64_t position = 0) {
    const auto token = sampling::sample(logits, options, seed, 0, position);
    return token.ok() ? base::toInt(*token) : -1;
}

TEST(Sampler, GreedyTakesTheLargestAndTheLowerIdOfEquals) {
    const SamplerOptions greedy{.temperature = 0};
    for (size_t size : {1U, 2U, 15U, 16U, 17U, 33U, 1000U}) {
        std::vector<float> logits = randomLogits(size, static_cast<unsigned>(size), 1);
        const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
        EXPECT_EQ(choose(logits, greedy), best);
        logits.assign(size, -3.5f);
        EXPECT_EQ(choose(logits, greedy), 0);
        logits[size - 1] = logits[size / 2] = 2;
        EXPECT_EQ(choose(logits, greedy), static_cast<int32_t>(size / 2));
    }
}

TEST(Sampler, TopKOfOneIsGreedyAtAnyTemperature) {
    const std::vector<float> logits = randomLogits(100, 3, 0.1f);
    const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
    for (uint64_t position = 0; position < 100; ++position)
        ASSERT_EQ(choose(logits, {.temperature = 5, .topK = 1}, 1, position), best);
}

TEST(Sampler, TopKKeepsTheLowerIdOfEquals) {
    const std::vector<float> logits(10, 1.0f);
    std::vector<int> seen(10, 0);
    for (uint64_t position = 0; position < 300; ++position)
        ++seen[static_cast<size_t>(choose(logits, {.topK = 3}, 1, position))];
    for (size_t i = 0; i < 10; ++i)
        EXPECT_EQ(seen[i] > 0, i < 3) << i;
}

TEST(Sampler, DrawsFromTheExactDistribution) {
    const std::vector<float> logits = randomLogits(12, 5, 1.5f);
    for (float temperature : {0.3f, 1.0f, 2.5f})
        expectDistribution(logits, {.options = {.temperature = temperature}});
    expectDistribution(std::vector<float>(7, 0.25f), {.options = {.temperature = 0.8f}});
}

TEST(Sampler, EveryFilterAgreesWithTheNaiveForm) {
    for (unsigned seed : {11u, 12u, 13u}) {
        const std::vector<float> logits = randomLogits(40, seed, 2);
        expectDistribution(logits, {.options = {.topK = 5}});
        expectDistribution(logits, {.options = {.topP = 0.9f}});
        expectDistribution(logits, {.options = {.topP = 0.4f}});
        expectDistribution(logits, {.options = {.minP = 0.1f}});
        expectDistribution(logits,
                           {.options = {.temperature = 0.7f, .topK = 10, .topP = 0.8f, .minP = 0.05f}});
        expectDistribution(logits,
                           {.options = {.temperature = 1.8f, .topK = 20, .topP = 0.95f, .minP = 0.2f}});
        expectDistribution(logits, {.options = {.typicalP = 0.5f}});
        expectDistribution(logits, {.options = {.temperature = 1.5f, .typicalP = 0.95f}});
        expectDistribution(logits, {.options = {.topK = 15, .topP = 0.9f, .minP = 0.1f, .typicalP = 0.9f}});
    }
}

TEST(Sampler, TopPSortsAsFarAsItNeedsInALargeVocabulary) {
    const std::vector<float> logits = randomLogits(5000, 21, 0.5f);  // flat: thousands of tokens are needed
    const SamplerOptions options{.topP = 0.9f};
    const std::vector<double> p = oracleProbabilities(logits, {.options = options});
    for (uint64_t position = 0; position < 1000; ++position) {
        const int32_t token = choose(logits, options, 5, position);
        ASSERT_GT(p[static_cast<size_t>(token)], 0) << token;
    }
}

// Every block of the vocabulary, the last short one too, with any filter and none.
TEST(Sampler, AgreesWithTheOracleAcrossBlocks) {
    for (const size_t size : {63U, 64U, 65U, 200U}) {
        std::vector<float> logits = randomLogits(size, static_cast<unsigned>(size), 1);
        logits[size - 1] = 3;
        logits[5] = -kInfinity;
        for (const SamplerOptions& options :
             {SamplerOptions{}, SamplerOptions{.topK = 7}, SamplerOptions{.topK = 150},
              SamplerOptions{.topP = 0.7f}, SamplerOptions{.minP = 0.05f}, SamplerOptions{.typicalP = 0.3f},
              SamplerOptions{.topP = 0.9f, .minP = 0.02f}})
            expectDistribution(logits, {.options = options}, 8000);
    }
}

TEST(Sampler, TypicalMayLeaveOutTheLikeliest) {
    // Entropy of (0.4, 10 x 0.06): the many are nearer to it than the one.
    std::vector<float> logits(11, std::log(0.06f));
    logits[3] = std::log(0.4f);
    for (uint64_t position = 0; position < 200; ++position)
        ASSERT_NE(choose(logits, {.typicalP = 0.3f}, 1, position), 3);
    EXPECT_EQ(choose({1, 2, 3}, {.typicalP = 0}), 2) << "one is always left: the most typical";
}

TEST(Sampler, TopPOfZeroLeavesTheBest) {
    EXPECT_EQ(choose({0, 1, 3, 2}, {.temperature = 2, .topP = 0}), 2);
    EXPECT_EQ(choose({0, 1, 3, 2}, {.temperature = 2, .minP = 1}), 2);
}

TEST(Sampler, MinPKeepsEqualsOfTheBest) {
    std::vector<int> seen(4, 0);
    for (uint64_t position = 0; position < 200; ++position)
        ++seen[static_cast<size_t>(choose({3, 1, 3, 2}, {.minP = 1}, 1, position))];
    EXPECT_GT(seen[0], 0);
    EXPECT_GT(seen[2], 0);
    EXPECT_EQ(seen[1] + seen[3], 0);
}

TEST(Sampler, MaskedTokensAreNeverChosen) {
    for (uint64_t position = 0; position < 200; ++position)
        ASSERT_EQ(choose({-kInfinity, 0, -kInfinity}, {.temperature = 5}, 1, position), 1);
}

TEST(Sampler, TinyTemperatureIsGreedyAndHugeLogitsAreFine) {
    EXPECT_EQ(choose({1, 1.001f, 0.5f}, {.temperature = 1e-6f}), 1);
    EXPECT_EQ(choose({-3e38f, 3e38f}, {.temperature = 5}), 1);
}

TEST(Sampler, IsAPureFunctionOfItsArguments) {
    const std::vector<float> logits = randomLogits(500, 9, 1);
    const SamplerOptions options{.temperature = 1.2f, .topP = 0.95f};
    std::vector<int32_t> first, again, other, choice;
    for (uint64_t position = 0; position < 50; ++position) {
        first.push_back(choose(logits, options, 42, position));
        other.push_back(choose(logits, options, 43, position));
        choice.push_back(base::toInt(*sampling::sample(logits, options, 42, 1, position)));
    }
    for (uint64_t position = 50; position-- > 0;)  // the order of calls does not matter
        again.insert(again.begin(), choose(logits, options, 42, position));
    EXPECT_EQ(first, again);
    EXPECT_NE(first, other);
    EXPECT_NE(first, choice);
}

TEST(Sampler, InvalidNumbersAreAnErrorWhereverTheyStand) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    for (float bad : {nan, -nan, kInfinity})
        for (size_t at : {0U, 7U, 16U, 20U})
            for (float temperature : {0.0f, 1.0f}) {
                std::vector<float> logits(21, 0.5f);
                logits[at] = bad;
                const auto token = sampling::sample(logits, {.temperature = temperature}, 1, 0, 0);
                ASSERT_FALSE(token.ok()) << at;
                EXPECT_EQ(token.error().code, base::Code::InvalidNumbers);
            }
    EXPECT_FALSE(sampling::sample(std::vector<float>(4, -kInfinity), {}, 1, 0, 0).ok());
}

}  // namespace
}  // namespace conclave::engine::sampling
