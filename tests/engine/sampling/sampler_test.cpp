#include "engine/sampling/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

namespace conclave::engine::sampling {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

int32_t choose(const std::vector<float>& logits, const SamplerOptions& options, uint64_t seed = 1,
               uint64_t position = 0) {
    const auto token = sampling::sample(logits, options, seed, 0, position);
    return token.ok() ? base::toInt(*token) : -1;
}

/// What the header promises, written the plain way: full sorts, std::exp, one filter after the other.
std::vector<double> naiveProbabilities(const std::vector<float>& logits, const SamplerOptions& options) {
    std::vector<size_t> order(logits.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return logits[a] > logits[b]; });
    if (options.topK > 0 && options.topK < order.size()) order.resize(options.topK);
    const auto softmax = [&] {
        std::vector<double> p(logits.size(), 0);
        double total = 0;
        for (size_t i : order)
            total += p[i] =
                std::exp((double{logits[i]} - double{logits[order[0]]}) / double{options.temperature});
        for (double& x : p)
            x /= total;
        return p;
    };
    std::vector<double> p = softmax();
    double sum = 0;
    for (size_t n = 0; options.topP < 1 && n < order.size(); ++n) {
        sum += p[order[n]];
        if (sum >= double{options.topP} - 1e-12) order.resize(n + 1);
    }
    p = softmax();
    std::erase_if(order, [&](size_t i) { return p[i] < double{options.minP} * p[order[0]]; });
    return softmax();
}

std::vector<float> randomLogits(size_t size, unsigned seed, float spread) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0, spread);
    std::vector<float> logits(size);
    for (float& x : logits)
        x = normal(random);
    return logits;
}

/// chi² of `draws` draws against the naive probabilities, and no draw outside of them.
void expectDistribution(const std::vector<float>& logits, const SamplerOptions& options) {
    constexpr int kDraws = 20'000;
    const std::vector<double> p = naiveProbabilities(logits, options);
    std::vector<int> counts(logits.size(), 0);
    for (uint64_t position = 0; position < kDraws; ++position) {
        const int32_t token = choose(logits, options, 99, position);
        ASSERT_GE(token, 0);
        ++counts[static_cast<size_t>(token)];
    }
    double chi2 = 0, rareExpected = 0;
    int rareCount = 0, freedom = -1;
    const auto add = [&](double expected, int count) {
        chi2 += (count - expected) * (count - expected) / expected;
        ++freedom;
    };
    for (size_t i = 0; i < p.size(); ++i) {
        const double expected = p[i] * kDraws;
        if (p[i] == 0)
            EXPECT_EQ(counts[i], 0) << "token " << i << " was filtered out";
        else if (expected >= 8)
            add(expected, counts[i]);
        else
            rareExpected += expected, rareCount += counts[i];
    }
    if (rareExpected >= 8) add(rareExpected, rareCount);
    // The Wilson-Hilferty approximation of the 99.99 % quantile of chi².
    const double f = std::max(freedom, 1);
    EXPECT_LT(chi2, f * std::pow(1 - 2 / (9 * f) + 3.72 * std::sqrt(2 / (9 * f)), 3))
        << freedom << " degrees";
}

TEST(Sampler, GreedyTakesTheLargestAndTheLowerIdOfEquals) {
    const SamplerOptions greedy{.temperature = 0};
    for (size_t size : {1, 2, 15, 16, 17, 33, 1000}) {
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
        expectDistribution(logits, {.temperature = temperature});
    expectDistribution(std::vector<float>(7, 0.25f), {.temperature = 0.8f});
}

TEST(Sampler, EveryFilterAgreesWithTheNaiveForm) {
    for (unsigned seed : {11u, 12u, 13u}) {
        const std::vector<float> logits = randomLogits(40, seed, 2);
        expectDistribution(logits, {.topK = 5});
        expectDistribution(logits, {.topP = 0.9f});
        expectDistribution(logits, {.topP = 0.4f});
        expectDistribution(logits, {.minP = 0.1f});
        expectDistribution(logits, {.temperature = 0.7f, .topK = 10, .topP = 0.8f, .minP = 0.05f});
        expectDistribution(logits, {.temperature = 1.8f, .topK = 20, .topP = 0.95f, .minP = 0.2f});
    }
}

TEST(Sampler, TopPSortsAsFarAsItNeedsInALargeVocabulary) {
    const std::vector<float> logits = randomLogits(5000, 21, 0.5f);  // flat: thousands of tokens are needed
    const SamplerOptions options{.topP = 0.9f};
    const std::vector<double> p = naiveProbabilities(logits, options);
    for (uint64_t position = 0; position < 1000; ++position) {
        const int32_t token = choose(logits, options, 5, position);
        ASSERT_GT(p[static_cast<size_t>(token)], 0) << token;
    }
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
        for (size_t at : {0, 7, 16, 20})
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
