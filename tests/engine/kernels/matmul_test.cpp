#include <cmath>
#include <cstring>

#include "tests/engine/kernels/cases.h"

namespace conclave::engine::kernels {
namespace {

class Matmul : public testing::TestWithParam<const Kernels*> {
  protected:
    const Kernels& row = *GetParam();

    Floats multiply(const Weights& w, const Floats& x, Activation activation, size_t threads = 1) {
        Floats y(x.rows, w.view.rows, 3);
        Workplace place(row, threads, x.rows, std::max(w.view.cols, w.view.rows));
        const MatmulGroup group{.w = w.in(row, activation), .rows = x.rows, .y = y.view()};
        row.matmul(place.launch(), {&group, 1}, x.view(), activation);
        return y;
    }
};

uint32_t colsFor(Format format, Random& random) {
    const uint32_t block = quant::info(format).blockValues;
    return block == 1 ? 1 + below(random, 400) : block * (1 + below(random, block == 256 ? 4 : 12));
}

float toBfloat16(float x) {
    return quant::bfloat16ToFloat(quant::floatToBfloat16(x));
}

TEST_P(Matmul, FloatProductsFollowTheLaneRule) {
    Random random(1);
    for (const Format format : allFormats())
        for (int round = 0; round < 6; ++round) {
            const uint32_t cols = colsFor(format, random);
            const Weights w(random, format, 1 + below(random, 40), cols);
            const Floats x = Floats::random(random, 1 + below(random, 7), cols, 2, below(random, 6));
            const Floats y = multiply(w, x, Activation::F32);
            for (size_t r = 0; r < x.rows; ++r)
                for (size_t o = 0; o < w.view.rows; ++o) {
                    const auto weights = w.decoded(o);
                    const float want = laneProduct(weights.data(), x.row(r), cols);
                    ASSERT_EQ(want, y.row(r)[o]) << quant::info(format).name << " row " << r << " out " << o;
                    double exact = 0, size = 0;
                    for (size_t k = 0; k < cols; ++k) {
                        exact += double{weights[k]} * x.row(r)[k];
                        size += std::abs(double{weights[k]} * x.row(r)[k]);
                    }
                    ASSERT_LE(std::abs(exact - y.row(r)[o]), size * (cols / 16.0 + 6) * 0x1p-24);
                }
        }
}

/// "BF16 products" of numerics.md, word for word.
float pairProduct(const float* w, const float* x, size_t cols) {
    float sums[16] = {};
    for (size_t block = 0; block < cols; block += 32)
        for (size_t i = 0; i < 16; ++i)
            for (const size_t k : {block + 2 * i + 1, block + 2 * i})
                sums[i] =
                    k < cols ? std::fma(w[k], toBfloat16(x[k]), sums[i]) : std::fma(0.0f, 0.0f, sums[i]);
    for (const size_t half : {8u, 4u, 2u, 1u})
        for (size_t i = 0; i < half; ++i)
            sums[i] += sums[i + half];
    return sums[0];
}

// None of these sums is subnormal, where VDPBF16PS would take it for zero: all rows give the same bits.
TEST_P(Matmul, Bfloat16ProductsFollowTheRuleOfPairs) {
    Random random(2);
    for (const uint32_t cols : {1u, 2u, 31u, 32u, 33u, 64u, 95u, 333u, 2048u})
        for (const uint32_t rows : {1u, 2u, 3u, 4u, 5u, 6u, 7u, 11u, 70u}) {
            const Weights w(random, Format::BF16, 1 + below(random, 40), cols);
            const Floats x = Floats::random(random, rows, cols, 2, below(random, 6));
            const Floats y = multiply(w, x, Activation::BF16, 1 + below(random, 3));
            for (size_t r = 0; r < rows; ++r)
                for (size_t o = 0; o < w.view.rows; ++o)
                    ASSERT_EQ(pairProduct(w.decoded(o).data(), x.row(r), cols), y.row(r)[o])
                        << cols << " columns, row " << r << " of " << rows << ", out " << o;
        }
    const Weights w(random, Format::BF16, 8, 320);
    const Floats x = Floats::random(random, 2, 320);
    EXPECT_NE(0u, differentBits(multiply(w, x, Activation::BF16), multiply(w, x, Activation::F32)));
}

TEST_P(Matmul, AFormatWithoutTheFormIsMultipliedWithFloats) {
    Random random(3);
    for (const Format format : allFormats())
        for (const Activation asked : {Activation::BF16, Activation::Int8, Activation::Int8x2}) {
            const Weights w(random, format, 8, 512);
            const Floats x = Floats::random(random, 2, 512);
            const bool floats = appliedActivation(format, asked) == Activation::F32;
            const size_t different = differentBits(multiply(w, x, asked), multiply(w, x, Activation::F32));
            EXPECT_EQ(floats, different == 0) << quant::info(format).name;
        }
    EXPECT_EQ(Activation::BF16, appliedActivation(Format::BF16, Activation::BF16));
    EXPECT_EQ(Activation::F32, appliedActivation(Format::BF16, Activation::Int8));
    for (const Format format : kBlockFormats)
        for (const Activation asked : {Activation::Int8, Activation::Int8x2})
            EXPECT_EQ(asked, appliedActivation(format, asked));
}

TEST_P(Matmul, ARowDoesNotKnowItsNeighboursNorTheThreads) {
    Random random(4);
    for (const Format format : allFormats())
        for (const Activation activation :
             {Activation::F32, Activation::BF16, Activation::Int8, Activation::Int8x2}) {
            const Weights w(random, format, 150, 512);
            const Floats x = Floats::random(random, 67, 512);
            const Floats all = multiply(w, x, activation);
            EXPECT_EQ(0u, differentBits(all, multiply(w, x, activation, 3))) << quant::info(format).name;
            for (const uint32_t r : {0u, 1u, 33u, 63u, 64u, 66u}) {
                Floats alone(1, 512);
                std::copy_n(x.row(r), 512, alone.row(0));
                const Floats y = multiply(w, alone, activation);
                EXPECT_EQ(0u, differentBits(y.row(0), all.row(r), 150))
                    << quant::info(format).name << " row " << r;
            }
        }
}

TEST_P(Matmul, GroupsGiveTheBitsOfSingleProducts) {
    Random random(5);
    for (const Format format : {Format::F32, Format::Q4_K, Format::Q6_K, Format::Q8_0})
        for (const Activation activation : {Activation::F32, Activation::Int8}) {
            const Weights first(random, format, 37, 256), second(random, format, 64, 256),
                third(random, format, 5, 256);
            const Weights* weights[] = {&first, &second, &third};
            const uint32_t rows[] = {3, 0, 71};
            const Floats x = Floats::random(random, 74, 256);
            Floats y(74, 64), want(74, 64);
            std::vector<MatmulGroup> groups;
            for (uint32_t i = 0, at = 0; i < 3; at += rows[i++])
                groups.push_back(
                    {.w = weights[i]->in(row, activation), .firstRow = at, .rows = rows[i], .y = y.view()});
            Workplace place(row, 2, 74, 256);
            row.matmul(place.launch(), groups, x.view(), activation);
            for (const MatmulGroup& group : groups)
                for (uint32_t r = 0; r < group.rows; ++r) {
                    const MatmulGroup one{
                        .w = group.w, .firstRow = group.firstRow + r, .rows = 1, .y = want.view()};
                    row.matmul(place.launch(), {&one, 1}, x.view(), activation);
                }
            EXPECT_EQ(0u, differentBits(y, want)) << quant::info(format).name;
        }
}

// The absorbed halves of MLA: one group a head, its columns of x and of y; columns need not be multiples
// of 32.
TEST_P(Matmul, GroupsMayBeColumns) {
    Random random(6);
    for (const Activation activation : {Activation::F32, Activation::Int8}) {
        const uint32_t heads = 5, in = 64, gap = 9, out = 24, rows = 4;
        const Floats x = Floats::random(random, rows, heads * (in + gap));
        Floats y(rows, heads * out);
        std::vector<std::unique_ptr<Weights>> weights;
        std::vector<MatmulGroup> groups;
        for (uint32_t head = 0; head < heads; ++head) {
            weights.push_back(std::make_unique<Weights>(random, Format::Q8_0, out, in));
            groups.push_back({weights[head]->view, 0, rows, head * (in + gap), head * out, y.view()});
        }
        Workplace place(row, 2, rows, heads * (in + gap));
        row.matmul(place.launch(), groups, x.view(), activation);
        for (uint32_t head = 0; head < heads; ++head) {
            Floats part(rows, in);
            for (uint32_t r = 0; r < rows; ++r)
                std::copy_n(x.row(r) + head * (in + gap), in, part.row(r));
            const Floats want = multiply(*weights[head], part, activation);
            for (uint32_t r = 0; r < rows; ++r)
                EXPECT_EQ(0u, differentBits(want.row(r), y.row(r) + head * out, out));
        }
    }
}

// Gate and up, queries and keys: neighbours with the same rows of x, outputs of their own, and the scratch of
// one of them.
TEST_P(Matmul, NeighboursMayShareTheirRowsOfX) {
    Random random(9);
    for (const Format format : {Format::F32, Format::BF16, Format::Q4_K, Format::Q6_K, Format::Q8_0})
        for (const Activation activation :
             {Activation::F32, Activation::BF16, Activation::Int8, Activation::Int8x2})
            for (const uint32_t rows : {1u, 3u, 29u, 150u}) {
                constexpr uint32_t kCols = 512, kRest = 7;
                const Weights weights[] = {{random, format, 48, kCols},
                                           {random, format, 20, kCols},
                                           {random, format, 33, kCols},
                                           {random, format, 16, kCols},
                                           {random, format, 5, kCols}};
                const Floats x = Floats::random(random, rows + kRest, kCols);
                std::vector<Floats> got;
                for (const Weights& w : weights)
                    got.emplace_back(rows + kRest, w.view.rows, 2);
                std::vector<MatmulGroup> groups;
                for (size_t i = 0; i < std::size(weights); ++i)
                    groups.push_back({.w = weights[i].in(row, activation),
                                      .firstRow = i < 3 ? 0 : rows,
                                      .rows = i < 3 ? rows : kRest,
                                      .y = got[i].view()});
                Workplace place(row, 3, rows + kRest, kCols);
                row.matmul(place.launch(), groups, x.view(), activation);
                for (size_t i = 0; i < std::size(weights); ++i) {
                    Floats want(rows + kRest, weights[i].view.rows, 2);
                    MatmulGroup alone = groups[i];
                    alone.y = want.view();
                    row.matmul(place.launch(), {&alone, 1}, x.view(), activation);
                    EXPECT_EQ(0u, differentBits(got[i], want)) << quant::info(format).name << " matrix " << i;
                }
            }
}

TEST_P(Matmul, NothingIsWrittenOutsideTheOutputs) {
    Random random(7);
    const Weights w(random, Format::Q4_0, 10, 64);
    const Floats x = Floats::random(random, 6, 64);
    Floats y(6, 30, 2);
    Workplace place(row, 2, 6, 64);
    const MatmulGroup group{.w = w.view, .firstRow = 2, .rows = 3, .yColumn = 11, .y = y.view()};
    row.matmul(place.launch(), {&group, 1}, x.view(), Activation::F32);
    for (size_t r = 0; r < 6; ++r)
        for (size_t c = 0; c < y.stride; ++c)
            EXPECT_EQ(r >= 2 && r < 5 && c >= 11 && c < 21, y.row(r)[c] != -77.0f) << r << ' ' << c;
}

TEST_P(Matmul, NumbersThatAreNotFiniteReachTheOutput) {
    Random random(8);
    for (const float bad : {std::nanf(""), INFINITY}) {
        const Weights w(random, Format::Q4_K, 4, 256);
        Floats x = Floats::random(random, 1, 256);
        x.row(0)[77] = bad;
        for (const Activation activation : {Activation::F32, Activation::Int8}) {
            const Floats y = multiply(w, x, activation);
            size_t finite = 0;
            for (size_t o = 0; o < 4; ++o)
                finite += std::isfinite(y.row(0)[o]);
            EXPECT_LT(finite, 4u);
        }
    }
}

/// y after one group, value by value.
void addByHand(const LowRankGroup& group, const Weights& a, const Weights& b, const Floats& x, Floats& y) {
    for (size_t r = group.firstRow; r < group.firstRow + group.rows; ++r) {
        std::vector<float> middle(group.a.rows), sum(group.b.cols, 0.0f);
        for (size_t k = 0; k < middle.size(); ++k) {
            middle[k] = laneProduct(a.decoded(k).data(), x.row(r) + group.xColumn, group.a.cols);
            const auto row = b.decoded(k);
            for (size_t o = 0; o < sum.size(); ++o)
                sum[o] = std::fma(middle[k], row[o], sum[o]);
        }
        for (size_t o = 0; o < sum.size(); ++o)
            y.row(r)[group.yColumn + o] = std::fma(group.scale, sum[o], y.row(r)[group.yColumn + o]);
    }
}

TEST_P(Matmul, LowRankAddsBothHalvesOfEveryGroup) {
    Random random(9);
    for (const Format format : {Format::F32, Format::BF16, Format::F16}) {
        const uint32_t in = 160, out = 83, rows = 300;
        const Weights a(random, format, 32, in), b(random, format, 32, out), smallA(random, format, 3, in),
            smallB(random, format, 3, out);
        const Floats x = Floats::random(random, rows + 2, in + 8);
        const Floats before = Floats::random(random, rows + 2, out + 5);
        Floats y = before, alone = before, want = before;
        // The second adds to rows of the first, beyond what one batch holds.
        const std::vector<LowRankGroup> groups{{a.view, b.view, 0.7f, 1, rows, 8, 5},
                                               {smallA.view, smallB.view, -1.5f, 200, 100, 3, 2}};
        Workplace place(row, 3, rows + 2, in + 8);
        row.lowRank(place.launch(), groups, x.view(), y.view());
        for (LowRankGroup group : groups)
            for (const uint32_t end = group.firstRow + group.rows; group.firstRow < end; ++group.firstRow) {
                group.rows = 1;
                row.lowRank(place.launch(), {&group, 1}, x.view(), alone.view());
            }
        EXPECT_EQ(0u, differentBits(y, alone));
        addByHand(groups[0], a, b, x, want);
        addByHand(groups[1], smallA, smallB, x, want);
        EXPECT_EQ(0u, differentBits(y, want)) << quant::info(format).name;
    }
}

TEST_P(Matmul, LowRankOfManySmallGroups) {
    Random random(10);
    const uint32_t in = 64, out = 48, rows = 300;
    const Weights a(random, Format::BF16, 2, in), b(random, Format::BF16, 2, out);
    const Floats x = Floats::random(random, rows, in);
    Floats y = Floats::random(random, rows, out), want = y;
    std::vector<LowRankGroup> groups;
    for (uint32_t r = 0; r < rows; ++r)
        groups.push_back({a.view, b.view, static_cast<float>(r), r, 1, 0, 0});
    Workplace place(row, 2, rows, in);
    row.lowRank(place.launch(), groups, x.view(), y.view());
    for (const LowRankGroup& group : groups)
        addByHand(group, a, b, x, want);
    EXPECT_EQ(0u, differentBits(y, want));
}

INSTANTIATE_TEST_SUITE_P(Rows, Matmul, testing::ValuesIn(runnableKernels()), nameOf);

}  // namespace
}  // namespace conclave::engine::kernels
