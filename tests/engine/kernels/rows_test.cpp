#include <cmath>
#include <cstring>
#include <numeric>

#include "engine/kernels/exponential.h"
#include "tests/engine/kernels/cases.h"

/// The operations that work on one row at a time.
namespace conclave::engine::kernels {
namespace {

class RowWise : public testing::TestWithParam<const Kernels*> {
  protected:
    const Kernels& row = *GetParam();
    Random random{40};
    Workplace place{*GetParam(), 2, 64, 2048};
    Launch& launch = place.launch();
};

TEST_P(RowWise, EmbedDecodesTheRowOfEachToken) {
    for (const Format format : allFormats()) {
        const Weights table(random, format, 50, 512);
        std::vector<base::TokenId> ids;
        for (int i = 0; i < 40; ++i)
            ids.push_back(base::TokenId{static_cast<int32_t>(below(random, 50))});
        Floats out(40, 512, 3);
        row.embed(launch, table.view, ids, out.view());
        for (size_t r = 0; r < ids.size(); ++r) {
            const auto want = table.decoded(static_cast<size_t>(base::toInt(ids[r])));
            for (size_t c = 0; c < 512; ++c)
                ASSERT_EQ(want[c], out.row(r)[c]) << quant::info(format).name;
            ASSERT_EQ(-77.0f, out.row(r)[512]);
        }
    }
}

TEST_P(RowWise, NormFollowsTheRuleAndMayBeInPlace) {
    for (const uint32_t cols : {1u, 15u, 64u, 2048u}) {
        const Floats x = Floats::random(random, 33, cols, 3, 2), weight = Floats::random(random, 1, cols, 2);
        Floats y(33, cols, 1), inPlace = x;
        row.norm(launch, x.view(), weight.row(0), 1e-5f, y.view());
        row.norm(launch, inPlace.view(), weight.row(0), 1e-5f, inPlace.view());
        for (size_t r = 0; r < 33; ++r) {
            EXPECT_EQ(0u, differentBits(y.row(r), inPlace.row(r), cols));
            const float squares = laneProduct(x.row(r), x.row(r), cols);
            const float inverse = 1.0f / std::sqrt(squares / static_cast<float>(cols) + 1e-5f);
            double mean = 0;
            for (size_t c = 0; c < cols; ++c)
                mean += double{x.row(r)[c]} * x.row(r)[c] / cols;
            for (size_t c = 0; c < cols; ++c) {
                ASSERT_EQ((x.row(r)[c] * inverse) * weight.row(0)[c], y.row(r)[c]);
                ASSERT_NEAR(x.row(r)[c] / std::sqrt(mean + 1e-5) * weight.row(0)[c], y.row(r)[c], 3e-6);
            }
        }
    }
}

TEST_P(RowWise, RopeTurnsPairsOfTheRotatedPartOnly) {
    for (const bool interleaved : {false, true})
        for (const uint32_t dim : {2u, 10u, 64u}) {
            const uint32_t heads = 3, headDim = dim + 7, offset = 5, rows = 21;
            const Floats before = Floats::random(random, rows, heads * headDim, 2, 4);
            Floats x = before;
            Floats cosines(rows, dim / 2), sines(rows, dim / 2);
            for (size_t i = 0; i < cosines.values.size(); ++i) {
                const float angle = uniform(random, -9, 9);
                cosines.values[i] = std::cos(angle);
                sines.values[i] = std::sin(angle);
            }
            row.rope(launch, {.x = x.view(),
                              .heads = heads,
                              .headDim = headDim,
                              .offset = offset,
                              .dim = dim,
                              .cosines = cosines.row(0),
                              .sines = sines.row(0),
                              .interleaved = interleaved});
            Floats want = before;
            for (size_t r = 0; r < rows; ++r)
                for (size_t head = 0; head < heads; ++head)
                    for (size_t i = 0; i < dim / 2; ++i) {
                        const size_t at = head * headDim + offset;
                        const size_t first = at + (interleaved ? 2 * i : i),
                                     second = first + (interleaved ? 1 : dim / 2);
                        const float a = before.row(r)[first], b = before.row(r)[second];
                        const float c = cosines.row(r)[i], s = sines.row(r)[i];
                        want.row(r)[first] = std::fma(a, c, -(b * s));
                        want.row(r)[second] = std::fma(b, c, a * s);
                    }
            EXPECT_EQ(0u, differentBits(want, x));
        }
}

TEST_P(RowWise, GateUpIsSiluTimesUp) {
    const Floats gate = Floats::random(random, 9, 1003, 30, 1), up = Floats::random(random, 9, 1003, 2);
    Floats y(9, 1003, 2);
    row.gateUp(launch, gate.view(), up.view(), y.view());
    for (size_t r = 0; r < 9; ++r)
        for (size_t c = 0; c < 1003; ++c) {
            const float g = gate.row(r)[c], u = up.row(r)[c];
            ASSERT_EQ(silu(g) * u, y.row(r)[c]);
            const double real = g / (1 + std::exp(-double{g})) * u;
            ASSERT_NEAR(real, y.row(r)[c], std::abs(real) * 3e-7 + 1e-37);
        }
}

TEST_P(RowWise, AddAddBiasAndClamp) {
    const Floats x = Floats::random(random, 40, 515, 3, 1), bias = Floats::random(random, 1, 515);
    const Floats before = Floats::random(random, 40, 515, 3, 2);
    Floats added = before, biased = before, clamped = before;
    clamped.row(3)[7] = std::nanf("");
    row.add(launch, x.view(), added.view());
    row.addBias(launch, bias.row(0), biased.view());
    row.clamp(launch, 1.5f, clamped.view());
    EXPECT_TRUE(std::isnan(clamped.row(3)[7]));
    for (size_t r = 0; r < 40; ++r)
        for (size_t c = 0; c < 515; ++c) {
            const float was = before.row(r)[c];
            ASSERT_EQ(was + x.row(r)[c], added.row(r)[c]);
            ASSERT_EQ(was + bias.row(0)[c], biased.row(r)[c]);
            ASSERT_TRUE((r == 3 && c == 7) || clamped.row(r)[c] == std::min(1.5f, std::max(-1.5f, was)));
        }
}

TEST_P(RowWise, GatherThenScatterIsTheIdentity) {
    const Floats x = Floats::random(random, 50, 600, 1, 3);
    std::vector<uint32_t> order(50);
    std::iota(order.begin(), order.end(), 0u);
    std::shuffle(order.begin(), order.end(), random);
    Floats sorted(50, 600), back(50, 600, 3);
    row.gather(launch, x.view(), order, sorted.view());
    for (size_t i = 0; i < 50; ++i)
        EXPECT_EQ(0u, differentBits(sorted.row(i), x.row(order[i]), 600));
    row.scatter(launch, sorted.view(), order, back.view());
    for (size_t r = 0; r < 50; ++r)
        EXPECT_EQ(0u, differentBits(back.row(r), x.row(r), 600));
    const std::vector<uint32_t> twice = {7, 7, 2};  // a row that two experts want
    row.gather(launch, x.view(), twice, sorted.view());
    EXPECT_EQ(0u, differentBits(sorted.row(1), x.row(7), 600));
}

TEST_P(RowWise, CombineSumsInSlotOrderTheSharedPartLast) {
    const uint32_t rows = 20, slots = 3, cols = 333;
    const Floats parts = Floats::random(random, rows * slots, cols, 2, 1),
                 shared = Floats::random(random, rows, cols);
    const Floats weights = Floats::random(random, rows, slots);
    Floats with(rows, cols), without(rows, cols);
    row.combine(launch, {parts.view(), weights.row(0), slots, shared.view(), with.view()});
    row.combine(launch, {parts.view(), weights.row(0), slots, ConstRows{}, without.view()});
    for (size_t r = 0; r < rows; ++r)
        for (size_t c = 0; c < cols; ++c) {
            float want = 0;
            for (size_t slot = 0; slot < slots; ++slot)
                want = std::fma(weights.row(r)[slot], parts.row(r * slots + slot)[c], want);
            ASSERT_EQ(want, without.row(r)[c]);
            ASSERT_EQ(want + shared.row(r)[c], with.row(r)[c]);
        }
}

TEST_P(RowWise, CombinePassesOverSlotsWithoutAnExpert) {
    const uint32_t rows = 20, cols = 45, slots = 4;
    Floats parts = Floats::random(random, rows * slots, cols);
    Floats weights = Floats::random(random, rows, slots);
    std::vector<int32_t> experts(rows * slots, 3);
    std::vector<std::vector<size_t>> used(rows);
    for (size_t i = 0; i < experts.size(); ++i) {
        if (below(random, 3) > 0) {
            used[i / slots].push_back(i);
            continue;
        }
        experts[i] = -1;
        weights.row(i / slots)[i % slots] = 0;
        std::fill_n(parts.row(i), cols, std::nanf(""));  // what nobody wrote
    }
    Floats got(rows, cols);
    row.combine(launch, {std::as_const(parts).view(), weights.row(0), slots, ConstRows{}, got.view(),
                         experts.data()});
    for (size_t r = 0; r < rows; ++r)
        for (size_t c = 0; c < cols; ++c) {
            float want = 0;
            for (const size_t i : used[r])
                want = std::fma(weights.row(r)[i % slots], parts.row(i)[c], want);
            ASSERT_EQ(want, got.row(r)[c]);
        }
}

INSTANTIATE_TEST_SUITE_P(Rows, RowWise, testing::ValuesIn(runnableKernels()), nameOf);

}  // namespace
}  // namespace conclave::engine::kernels
