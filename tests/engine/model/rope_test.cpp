#include "engine/model/rope.h"

#include <cmath>
#include <gtest/gtest.h>
#include <numbers>

namespace conclave::engine::model {
namespace {

RopeConfig plain(uint32_t dim) {
    RopeConfig rope;
    rope.dim = dim;
    return rope;
}

TEST(Rope, PlainFrequenciesFallGeometrically) {
    const std::vector<double> f = inverseFrequencies(plain(8));
    ASSERT_EQ(f.size(), 4u);
    EXPECT_EQ(f[0], 1);
    EXPECT_NEAR(f[1], 0.1, 1e-15);
    EXPECT_NEAR(f[3], 0.001, 1e-15);
}

TEST(Rope, LinearDividesAll) {
    RopeConfig rope = plain(8);
    rope.scaling = RopeConfig::Scaling::Linear;
    rope.factor = 4;
    EXPECT_NEAR(inverseFrequencies(rope)[1], 0.025, 1e-15);
}

TEST(Rope, DivisorsAreAppliedPairByPair) {
    RopeConfig rope = plain(4);
    rope.divisors = {2, 5};
    const std::vector<double> f = inverseFrequencies(rope);
    EXPECT_EQ(f[0], 0.5);
    EXPECT_NEAR(f[1], 0.01 / 5, 1e-15);
}

TEST(Rope, Llama3KeepsShortWavesAndStretchesLongOnes) {
    RopeConfig rope = plain(64);
    rope.scaling = RopeConfig::Scaling::Llama3;
    rope.factor = 8;
    rope.originalContext = 64;
    const std::vector<double> f = inverseFrequencies(rope), unscaled = inverseFrequencies(plain(64));
    EXPECT_EQ(f.front(), unscaled.front());             // wavelength 6.3, below 64 / 4
    EXPECT_NEAR(f.back(), unscaled.back() / 8, 1e-18);  // far above 64
    const size_t between = 6;                           // wavelength 35
    ASSERT_GT(2 * std::numbers::pi / unscaled[between], 16);
    ASSERT_LT(2 * std::numbers::pi / unscaled[between], 64);
    EXPECT_LT(f[between], unscaled[between]);
    EXPECT_GT(f[between], unscaled[between] / 8);
}

TEST(Rope, YarnRampsBetweenItsTwoTurns) {
    RopeConfig rope = plain(64);
    rope.scaling = RopeConfig::Scaling::Yarn;
    rope.factor = 4;
    rope.originalContext = 4096;
    const std::vector<double> f = inverseFrequencies(rope), unscaled = inverseFrequencies(plain(64));
    // Pairs that turn 32 times and once within 4096 positions: 64 ln(4096 / (2 pi turns)) / (2 ln 10000)
    // = 10.47, 22.51.
    EXPECT_EQ(f[10], unscaled[10]);
    EXPECT_LT(f[11], unscaled[11]);
    EXPECT_GT(f[22], unscaled[22] / 4);
    EXPECT_NEAR(f[23], unscaled[23] / 4, 1e-15);
    EXPECT_NEAR(f[16], unscaled[16] / 4 * (6.0 / 13) + unscaled[16] * (7.0 / 13), 1e-15);
    rope.truncate = false;
    EXPECT_NE(inverseFrequencies(rope)[16], f[16]);
}

TEST(Rope, YarnsTemperature) {
    EXPECT_EQ(yarnScale(1, 1), 1);
    EXPECT_EQ(yarnScale(40, 0), 1);
    EXPECT_NEAR(yarnScale(40, 0.707), 1 + 0.0707 * std::log(40.0), 1e-12);
}

TEST(Rope, AnglesStayExactFarOut) {
    const std::vector<double> f = inverseFrequencies(plain(4));
    const kernels::RowPlace places[] = {{0, nullptr}, {100000001, nullptr}};
    std::vector<float> cosines(4), sines(4);
    fillRope(f, 2, places, cosines.data(), sines.data());
    EXPECT_EQ(cosines[0], 2);
    EXPECT_EQ(sines[0], 0);
    EXPECT_EQ(cosines[2], static_cast<float>(2 * std::cos(100000001.0)));
    EXPECT_EQ(sines[3], static_cast<float>(2 * std::sin(100000001.0 * f[1])));
}

}  // namespace
}  // namespace conclave::engine::model
