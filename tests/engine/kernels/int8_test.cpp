#include <cmath>
#include <cstring>

#include "engine/quant/iq4_nl.h"
#include "engine/quant/iq4_xs.h"
#include "engine/quant/mxfp4.h"
#include "engine/quant/q2_k.h"
#include "engine/quant/q3_k.h"
#include "engine/quant/q4_0.h"
#include "engine/quant/q4_1.h"
#include "engine/quant/q4_k.h"
#include "engine/quant/q5_0.h"
#include "engine/quant/q5_1.h"
#include "engine/quant/q5_k.h"
#include "engine/quant/q6_k.h"
#include "engine/quant/q8_0.h"
#include "tests/engine/kernels/cases.h"

/// The int8 rule of numerics.md, written a second time, one value after the other, from the layouts in
/// engine/quant.
namespace conclave::engine::kernels {
namespace {

/// value = scale * integer - minimum
struct Parts {
    int integer = 0;
    float scale = 0, minimum = 0;
};

template <class Block> Block at(const std::byte* row, size_t index) {
    Block block;
    std::memcpy(&block, row + index * sizeof(Block), sizeof(Block));
    return block;
}

int nibble(const uint8_t* bytes, size_t i) {
    return i < 16 ? bytes[i] & 15 : bytes[i - 16] >> 4;
}

int fifth(const uint8_t* bits, size_t i) {
    return (bits[i / 8] >> i % 8 & 1) * 16;
}

Parts smallBlock(Format format, const std::byte* row, size_t k) {
    const size_t b = k / 32, i = k % 32;
    switch (format) {
    case Format::Q4_0: {
        const auto block = at<quant::BlockQ4_0>(row, b);
        return {nibble(block.qs, i) - 8, quant::halfToFloat(block.d), 0};
    }
    case Format::Q4_1: {
        const auto block = at<quant::BlockQ4_1>(row, b);
        return {nibble(block.qs, i), quant::halfToFloat(block.d), -quant::halfToFloat(block.m)};
    }
    case Format::Q5_0: {
        const auto block = at<quant::BlockQ5_0>(row, b);
        return {nibble(block.qs, i) + fifth(block.qh, i) - 16, quant::halfToFloat(block.d), 0};
    }
    case Format::Q5_1: {
        const auto block = at<quant::BlockQ5_1>(row, b);
        return {nibble(block.qs, i) + fifth(block.qh, i), quant::halfToFloat(block.d),
                -quant::halfToFloat(block.m)};
    }
    case Format::Q8_0: {
        const auto block = at<quant::BlockQ8_0>(row, b);
        return {block.qs[i], quant::halfToFloat(block.d), 0};
    }
    case Format::IQ4_NL: {
        const auto block = at<quant::BlockIQ4_NL>(row, b);
        return {quant::kIq4Steps[nibble(block.qs, i)], quant::halfToFloat(block.d), 0};
    }
    default: {
        const auto block = at<quant::BlockMXFP4>(row, b);
        return {quant::kMxfp4Steps[nibble(block.qs, i)], quant::e8m0Half(block.e), 0};
    }
    }
}

Parts scaleAndMin(const uint8_t* packed, uint16_t d, uint16_t dmin, size_t sub, int integer) {
    const auto both = quant::unpackScaleAndMin(packed, sub);
    return {integer, quant::halfToFloat(d) * both.scale, quant::halfToFloat(dmin) * both.min};
}

Parts largeBlock(Format format, const std::byte* row, size_t k) {
    const size_t b = k / 256, i = k % 256, in128 = i % 128;
    switch (format) {
    case Format::Q2_K: {
        const auto block = at<quant::BlockQ2_K>(row, b);
        const int integer = block.qs[i / 128 * 32 + i % 32] >> in128 / 32 * 2 & 3;
        return {integer, quant::halfToFloat(block.d) * (block.scales[i / 16] & 15),
                quant::halfToFloat(block.dmin) * (block.scales[i / 16] >> 4)};
    }
    case Format::Q3_K: {
        const auto block = at<quant::BlockQ3_K>(row, b);
        const size_t sub = i / 16;
        const int low = sub < 8 ? block.scales[sub] & 15 : block.scales[sub - 8] >> 4;
        const int high = block.scales[8 + sub % 4] >> sub / 4 * 2 & 3;
        const int integer = (block.qs[i / 128 * 32 + i % 32] >> in128 / 32 * 2 & 3) +
                            ((block.hmask[i % 32] >> i / 32 & 1) != 0 ? 0 : -4);
        return {integer, quant::halfToFloat(block.d) * static_cast<float>(low + 16 * high - 32), 0};
    }
    case Format::Q4_K: {
        const auto block = at<quant::BlockQ4_K>(row, b);
        const int integer = block.qs[i / 64 * 32 + i % 32] >> i / 32 % 2 * 4 & 15;
        return scaleAndMin(block.scales, block.d, block.dmin, i / 32, integer);
    }
    case Format::Q5_K: {
        const auto block = at<quant::BlockQ5_K>(row, b);
        const int integer =
            (block.qs[i / 64 * 32 + i % 32] >> i / 32 % 2 * 4 & 15) + (block.qh[i % 32] >> i / 32 & 1) * 16;
        return scaleAndMin(block.scales, block.d, block.dmin, i / 32, integer);
    }
    case Format::Q6_K: {
        const auto block = at<quant::BlockQ6_K>(row, b);
        const int low = block.ql[i / 128 * 64 + in128 % 64] >> in128 / 64 * 4 & 15;
        const int high = block.qh[i / 128 * 32 + i % 32] >> in128 / 32 * 2 & 3;
        return {low + 16 * high - 32, quant::halfToFloat(block.d) * block.scales[i / 16], 0};
    }
    default: {
        const auto block = at<quant::BlockIQ4_XS>(row, b);
        const size_t sub = i / 32;
        const int low = block.scalesLow[sub / 2] >> sub % 2 * 4 & 15, high = block.scalesHigh >> sub * 2 & 3;
        return {quant::kIq4Steps[nibble(block.qs + 16 * sub, i % 32)],
                quant::halfToFloat(block.d) * static_cast<float>(low + 16 * high - 32), 0};
    }
    }
}

Parts partsOf(const Weights& w, size_t row, size_t k) {
    const std::byte* bytes = w.view.data + row * w.view.stride;
    return quant::info(w.view.format).blockValues == 32 ? smallBlock(w.view.format, bytes, k)
                                                        : largeBlock(w.view.format, bytes, k);
}

bool hasMinimums(Format format) {
    return format == Format::Q4_1 || format == Format::Q5_1 || format == Format::Q2_K ||
           format == Format::Q4_K || format == Format::Q5_K;
}
bool hasShortRuns(Format format) {
    return format == Format::Q2_K || format == Format::Q3_K || format == Format::Q6_K;
}

struct Rounded {
    float scale = 0;
    int integers[32] = {};
    int sum(int from, int count) const {
        int total = 0;
        for (int i = from; i < from + count; ++i)
            total += integers[i];
        return total;
    }
};

Rounded roundBlock(const float* x) {
    Rounded out;
    float most = 0;
    for (int i = 0; i < 32; ++i) {
        if (!std::isfinite(x[i])) {
            out.scale = std::nanf("");
            return out;
        }
        most = std::max(most, std::abs(x[i]));
    }
    const float inverse = 127.0f / most;
    if (std::isinf(inverse)) return out;
    for (int i = 0; i < 32; ++i)
        out.integers[i] = static_cast<int>(std::nearbyint(x[i] * inverse));
    out.scale = most / 127.0f;
    return out;
}

float int8Product(const Weights& w, size_t row, const float* x) {
    float acc = 0;
    for (size_t k = 0; k < w.view.cols; k += 32) {
        const Rounded r = roundBlock(x + k);
        int sums[2] = {0, 0};
        for (size_t i = 0; i < 32; ++i)
            sums[i / 16] += partsOf(w, row, k + i).integer * r.integers[i];
        const Parts first = partsOf(w, row, k), second = partsOf(w, row, k + 16);
        if (hasShortRuns(w.view.format)) {
            const float t = std::fma(static_cast<float>(sums[1]), second.scale,
                                     static_cast<float>(sums[0]) * first.scale);
            acc = std::fma(t, r.scale, acc);
            const float u = std::fma(static_cast<float>(r.sum(16, 16)), second.minimum,
                                     static_cast<float>(r.sum(0, 16)) * first.minimum);
            if (hasMinimums(w.view.format)) acc = std::fma(-u, r.scale, acc);
        } else {
            acc = std::fma(static_cast<float>(sums[0] + sums[1]), first.scale * r.scale, acc);
            if (hasMinimums(w.view.format))
                acc = std::fma(-first.minimum, r.scale * static_cast<float>(r.sum(0, 32)), acc);
        }
    }
    return acc;
}

class Int8 : public testing::TestWithParam<const Kernels*> {};

TEST(Int8Rule, ThePartsMakeTheDecodedValues) {
    Random random(20);
    for (const Format format : kBlockFormats) {
        const Weights w(random, format, 3, 512);
        for (size_t r = 0; r < 3; ++r) {
            const auto values = w.decoded(r);
            for (size_t k = 0; k < 512; ++k) {
                const Parts parts = partsOf(w, r, k);
                ASSERT_EQ(values[k], parts.scale * static_cast<float>(parts.integer) - parts.minimum)
                    << quant::info(format).name << ' ' << k;
            }
        }
    }
}

TEST_P(Int8, EveryBlockFormatFollowsTheRule) {
    Random random(21);
    for (const Format format : kBlockFormats)
        for (int round = 0; round < 4; ++round) {
            const uint32_t block = quant::info(format).blockValues;
            const Weights w(random, format, 1 + below(random, 40),
                            block * (1 + below(random, block == 256 ? 4 : 20)));
            Floats x = Floats::random(random, 1 + below(random, 5), w.view.cols, 3);
            std::fill_n(x.row(0), 32, round == 0 ? 0.0f : 1e-39f);  // nothing, or too little for a scale
            Floats y(x.rows, w.view.rows);
            Workplace place(*GetParam(), 1 + below(random, 3), x.rows, std::max(w.view.cols, w.view.rows));
            const MatmulGroup group{.w = w.in(*GetParam(), Activation::Int8), .rows = x.rows, .y = y.view()};
            GetParam()->matmul(place.launch(), {&group, 1}, x.view(), Activation::Int8);
            for (size_t r = 0; r < x.rows; ++r)
                for (size_t o = 0; o < w.view.rows; ++o) {
                    const float want = int8Product(w, o, x.row(r));
                    ASSERT_EQ(want, y.row(r)[o]) << quant::info(format).name << " row " << r << " out " << o;
                    double exact = 0, step = 0;
                    const auto weights = w.decoded(o);
                    for (size_t k = 0; k < w.view.cols; ++k) {
                        exact += double{weights[k]} * x.row(r)[k];
                        step +=
                            std::abs(double{weights[k]}) * roundBlock(x.row(r) + k / 32 * 32).scale * 0.51;
                    }
                    ASSERT_LE(std::abs(exact - y.row(r)[o]), step + 1e-5) << quant::info(format).name;
                }
        }
}

TEST_P(Int8, TwiceAddsTheProductOfWhatIsLeft) {
    Random random(23);
    for (const Format format : kBlockFormats) {
        const Weights w(random, format, 21, 512);
        Floats x = Floats::random(random, 4, w.view.cols, 3);
        std::fill_n(x.row(0), 32, 0.0f);
        std::fill_n(x.row(0) + 32, 32, 1.0f);  // nothing is left of it
        Floats y(x.rows, w.view.rows);
        Workplace place(*GetParam(), 2, x.rows, std::max(w.view.cols, w.view.rows));
        const MatmulGroup group{.w = w.in(*GetParam(), Activation::Int8x2), .rows = x.rows, .y = y.view()};
        GetParam()->matmul(place.launch(), {&group, 1}, x.view(), Activation::Int8x2);
        for (size_t r = 0; r < x.rows; ++r) {
            std::vector<float> rest(w.view.cols);
            for (size_t k = 0; k < rest.size(); ++k) {
                const Rounded block = roundBlock(x.row(r) + k / 32 * 32);
                rest[k] = std::fma(-block.scale, static_cast<float>(block.integers[k % 32]), x.row(r)[k]);
            }
            for (size_t o = 0; o < w.view.rows; ++o) {
                ASSERT_EQ(int8Product(w, o, x.row(r)) + int8Product(w, o, rest.data()), y.row(r)[o])
                    << quant::info(format).name << " row " << r << " out " << o;
                double exact = 0, step = 0;
                const auto weights = w.decoded(o);
                for (size_t k = 0; k < w.view.cols; ++k) {
                    const double product = double{weights[k]} * x.row(r)[k];
                    exact += product;
                    step += std::abs(double{weights[k]}) * roundBlock(x.row(r) + k / 32 * 32).scale / 250;
                    step += std::abs(product) * 1e-5;  // of the additions
                }
                ASSERT_LE(std::abs(exact - y.row(r)[o]), step + 1e-5) << quant::info(format).name;
            }
        }
    }
}

TEST_P(Int8, ABlockWithANumberThatIsNotFiniteMakesNan) {
    Random random(22);
    for (const float bad : {std::nanf(""), INFINITY, -INFINITY}) {
        const Weights w(random, Format::Q8_0, 4, 64);
        Floats x = Floats::random(random, 1, 64);
        x.row(0)[40] = bad;
        Floats y(1, 4);
        Workplace place(*GetParam(), 1, 1, 64);
        const MatmulGroup group{.w = w.in(*GetParam(), Activation::Int8), .rows = 1, .y = y.view()};
        GetParam()->matmul(place.launch(), {&group, 1}, x.view(), Activation::Int8);
        for (size_t o = 0; o < 4; ++o)
            EXPECT_TRUE(std::isnan(y.row(0)[o]));
    }
}

INSTANTIATE_TEST_SUITE_P(Rows, Int8, testing::ValuesIn(runnableKernels()), nameOf);

}  // namespace
}  // namespace conclave::engine::kernels
