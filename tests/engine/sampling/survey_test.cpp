// Passes that do several things at once, beside one thing after the other.
#include "engine/sampling/survey.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "tests/engine/sampling/oracle.h"

namespace conclave::engine::sampling {
namespace {

using testing::randomLogits;

uint64_t bitsOf(double x) {
    return std::bit_cast<uint64_t>(x);
}

TEST(Survey, WeighIsWeightOfOneTokenAfterTheOther) {
    for (const size_t size : {1U, 15U, 16U, 17U, 40U, 1000U})
        for (const double temperature : {0.05, 1.0, 3.7}) {
            const std::vector<float> logits = randomLogits(size, static_cast<unsigned>(size), 3);
            const Survey found = survey(logits);
            Candidates all = atLeast(logits, found, -std::numeric_limits<float>::infinity());
            const double total = weigh(all, found.best, temperature);
            double sum = 0;
            for (const Candidate& c : all) {
                const double x = (double{c.logit} - double{found.best}) * (1 / temperature);
                ASSERT_EQ(bitsOf(c.weight), bitsOf(weightOf(x))) << x;
                ASSERT_NEAR(c.weight, x > kNegligible ? std::exp(x) : 0, 1e-15 * std::exp(x)) << x;
                ASSERT_LE(c.weight, 1);
                sum += c.weight;
            }
            ASSERT_EQ(bitsOf(total), bitsOf(sum));
        }
}

TEST(Survey, WeightSumsAddHalfToHalf) {
    const std::vector<float> logits = randomLogits(10 * kBlock, 6, 4);
    const Survey found = survey(logits);
    const WeightSums sums = weightSums(logits, found, 1.3);
    for (size_t block = 0; block < 10; ++block) {
        double weights[kBlock];
        for (size_t i = 0; i < kBlock; ++i)
            weights[i] = weightOf((double{logits[block * kBlock + i]} - double{found.best}) * (1 / 1.3));
        for (size_t half = kBlock / 2; half > 0; half /= 2)
            for (size_t i = 0; i < half; ++i)
                weights[i] += weights[i + half];
        ASSERT_EQ(bitsOf(sums.blocks[block]), bitsOf(weights[0])) << block;
    }
}

TEST(Survey, LikeliestAreTheFirstOfAllSorted) {
    for (const bool ties : {false, true})
        for (const size_t size : {64U, 1000U, 5000U}) {
            std::vector<float> logits = randomLogits(size, static_cast<unsigned>(size), 1);
            for (float& x : logits)
                x = ties ? std::round(x) : x;
            for (const size_t k : {size_t{1}, size / 64, size / 2, size - 1, size, size + 1}) {
                const Survey found = survey(logits);
                Candidates sorted = atLeast(logits, found, -std::numeric_limits<float>::infinity());
                std::ranges::sort(sorted, likelier);
                sorted.resize(std::min(k, size));
                Candidates got = likeliest(logits, found, k);
                ASSERT_TRUE(std::ranges::is_sorted(got, {}, &Candidate::id));
                std::ranges::sort(got, likelier);
                ASSERT_TRUE(std::ranges::equal(got, sorted, {}, &Candidate::id, &Candidate::id)) << k;
            }
        }
}

}  // namespace
}  // namespace conclave::engine::sampling
