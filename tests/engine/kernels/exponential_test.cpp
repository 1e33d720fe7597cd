#include <cmath>

#include "engine/kernels/exponential.h"
#include "tests/engine/kernels/cases.h"

namespace conclave::engine::kernels {
namespace {

/// Distance from the real number in units of its last place.
double ulps(double real, float got) {
    int exponent = 0;
    std::frexp(real, &exponent);
    return std::abs(real - got) / std::ldexp(1.0, exponent - 24);
}

TEST(Exponential, StaysWithinItsBound) {
    double worst = 0, worstSilu = 0, worstSigmoid = 0;
    for (uint64_t bits = 0; bits < uint64_t{1} << 32; bits += 9973) {
        const float x = std::bit_cast<float>(static_cast<uint32_t>(bits));
        if (!(x > -87.3f && x < 88.72f)) continue;
        worst = std::max(worst, ulps(std::exp(double{x}), exponential(x)));
        if (std::abs(x) < 1e-30f) continue;
        worstSigmoid = std::max(worstSigmoid, ulps(1 / (1 + std::exp(-double{x})), sigmoid(x)));
        if (x > -80) worstSilu = std::max(worstSilu, ulps(x / (1 + std::exp(-double{x})), silu(x)));
    }
    EXPECT_LE(worst, 1.0);
    EXPECT_LE(worstSigmoid, 2.5);
    EXPECT_LE(worstSilu, 2.5);
    EXPECT_GT(worst, 0.5);  // the sweep has met something
}

TEST(Exponential, HasItsEdges) {
    EXPECT_EQ(1.0f, exponential(0.0f));
    EXPECT_EQ(1.0f, exponential(-0.0f));
    EXPECT_EQ(0.0f, exponential(-INFINITY));
    EXPECT_EQ(0.0f, exponential(-88.0f));
    EXPECT_EQ(0.0f, exponential(-1e30f));
    EXPECT_EQ(INFINITY, exponential(88.73f));
    EXPECT_EQ(INFINITY, exponential(INFINITY));
    EXPECT_TRUE(std::isnan(exponential(std::nanf(""))));
    EXPECT_TRUE(std::isfinite(exponential(88.72f)));
    EXPECT_EQ(0.0f, silu(-1e30f));
    EXPECT_EQ(1e30f, silu(1e30f));
    EXPECT_EQ(0.5f, sigmoid(0.0f));
}

}  // namespace
}  // namespace conclave::engine::kernels
