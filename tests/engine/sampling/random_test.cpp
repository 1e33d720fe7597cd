#include "engine/sampling/random.h"

#include <gtest/gtest.h>

#include <set>

namespace conclave::engine::sampling {
namespace {

using Counter = std::array<uint32_t, 4>;

// The known answers that the authors publish with their implementation (Random123, kat_vectors).
TEST(Philox, GivesTheKnownAnswers) {
    EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Counter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
    constexpr uint32_t kOnes = 0xffffffff;
    EXPECT_EQ(philox({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
              (Counter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
    EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
              (Counter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(UniformAt, DependsOnSeedChoiceAndPosition) {
    std::set<double> seen;
    for (uint64_t seed : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 32})
        for (uint32_t choice : {0u, 1u})
            for (uint64_t position : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 32})
                seen.insert(uniformAt(seed, choice, position));
    EXPECT_EQ(seen.size(), 18u);
}

TEST(UniformAt, StaysBelowOneAndIsEven) {
    constexpr int kDraws = 100'000;
    double sum = 0;
    for (uint64_t position = 0; position < kDraws; ++position) {
        const double u = uniformAt(7, 0, position);
        ASSERT_GE(u, 0);
        ASSERT_LT(u, 1);
        sum += u;
    }
    EXPECT_NEAR(sum / kDraws, 0.5, 0.005);  // five standard deviations
}

}  // namespace
}  // namespace conclave::engine::sampling
