#include "engine/kernels/reference/loops.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "tests/engine/kernels/cases.h"

/// The two compiled copies of the reference's loops give the same bits.
namespace conclave::engine::kernels::reference {
namespace {

class TwoCopies : public testing::Test {
  protected:
    void SetUp() override {
        if (!fusedSupported()) GTEST_SKIP() << "this processor has no AVX2 with FMA: only one copy runs";
    }
    const Loops& plain = plainLoops();
    const Loops& fused = fusedLoops();
    Random random{70};
};

TEST_F(TwoCopies, Decode) {
    for (const Format format : allFormats()) {
        const Weights w(random, format, 3, 512);
        std::vector<float> first(512), second(512), want(512);
        for (size_t r = 0; r < 3; ++r) {
            plain.decode(format, w.view.data + r * w.view.stride, 512, first.data());
            fused.decode(format, w.view.data + r * w.view.stride, 512, second.data());
            EXPECT_EQ(0u, differentBits(first.data(), second.data(), 512)) << quant::info(format).name;
            const quant::FormatInfo& info = quant::info(format);
            info.decode(w.view.data + r * w.view.stride, 512 / info.blockValues, want.data());
            for (size_t i = 0; i < 512; ++i)
                ASSERT_EQ(want[i], first[i]) << info.name << ' ' << i;
        }
    }
}

TEST_F(TwoCopies, DecodeOfEverySixteenBits) {
    std::vector<uint16_t> bits(65536);
    for (size_t i = 0; i < bits.size(); ++i)
        bits[i] = static_cast<uint16_t>(i);
    const auto* bytes = reinterpret_cast<const std::byte*>(bits.data());
    for (const Format format : {Format::F16, Format::BF16, Format::F8E4M3}) {
        std::vector<float> first(65536), second(65536), want(65536);
        plain.decode(format, bytes, 65536, first.data());
        fused.decode(format, bytes, 65536, second.data());
        quant::info(format).decode(bytes, 65536, want.data());
        for (size_t i = 0; i < 65536; ++i) {
            if (std::isnan(want[i]))
                ASSERT_TRUE(std::isnan(first[i]) && std::isnan(second[i])) << i;
            else
                ASSERT_TRUE(differentBits(&first[i], &want[i], 1) == 0 &&
                            differentBits(&second[i], &want[i], 1) == 0)
                    << i;
        }
    }
}

TEST_F(TwoCopies, HalvesOfFloatsAroundEveryHalf) {
    std::vector<float> values;
    for (uint32_t bits = 0; bits < 65536; ++bits) {
        const float half = quant::halfToFloat(static_cast<uint16_t>(bits)),
                    next = quant::halfToFloat(static_cast<uint16_t>(bits + 1)), between = (half + next) / 2;
        for (const float value : {half, std::nextafter(half, next), between, std::nextafter(between, half),
                                  std::nextafter(between, next)})
            values.push_back(value);
    }
    values.push_back(-std::numeric_limits<float>::quiet_NaN());  // and a count that eight does not divide
    std::vector<uint16_t> first(values.size()), second(values.size());
    plain.toHalves(values.data(), values.size(), reinterpret_cast<std::byte*>(first.data()));
    fused.toHalves(values.data(), values.size(), reinterpret_cast<std::byte*>(second.data()));
    EXPECT_EQ(first, second);
    for (size_t i = 0; i < values.size(); ++i)
        ASSERT_EQ(first[i], std::isnan(values[i]) ? 0x7e00 : quant::floatToHalf(values[i])) << values[i];
}

TEST_F(TwoCopies, Products) {
    for (const size_t rows : {1u, 2u, 3u, 7u})
        for (const uint32_t cols : {1u, 16u, 37u, 300u}) {
            const Floats w = Floats::random(random, 9, cols),
                         x = Floats::random(random, static_cast<uint32_t>(rows), cols);
            Floats first(static_cast<uint32_t>(rows), 9), second = first;
            plain.multiply(w.row(0), cols, 9, x.row(0), cols, rows, cols, first.row(0), 9);
            fused.multiply(w.row(0), cols, 9, x.row(0), cols, rows, cols, second.row(0), 9);
            EXPECT_EQ(0u, differentBits(first, second));
        }
}

TEST_F(TwoCopies, SixteenBitRowsMultiplyAsTheyLieLikeDecodedOnes) {
    const size_t many = 37;  // more than go through the tree at once
    for (const Format format : {Format::F16, Format::BF16})
        for (const size_t rows : {1u, 2u, 3u, 7u})
            for (const uint32_t cols : {1u, 16u, 37u, 304u}) {
                std::vector<std::byte> weights(many * cols * 2 + 1);
                for (size_t i = 0; i < many * cols; ++i) {
                    const float value = uniform(random, -1, 1);
                    const auto bits =
                        static_cast<uint16_t>(format == Format::F16 ? quant::floatToHalf(value)
                                                                    : std::bit_cast<uint32_t>(value) >> 16);
                    std::memcpy(weights.data() + 1 + 2 * i, &bits, sizeof bits);
                }
                const std::byte* odd = weights.data() + 1;  // a file may begin a tensor anywhere
                std::vector<float> decoded(many * cols);
                plain.decode(format, odd, decoded.size(), decoded.data());
                const Floats x = Floats::random(random, static_cast<uint32_t>(rows), cols);
                Floats expected(static_cast<uint32_t>(rows), many), first = expected, second = expected;
                plain.multiply(decoded.data(), cols, many, x.row(0), cols, rows, cols, expected.row(0), many);
                plain.multiplyNarrow(format, odd, cols * 2, many, x.row(0), cols, rows, cols, first.row(0),
                                     many);
                fused.multiplyNarrow(format, odd, cols * 2, many, x.row(0), cols, rows, cols, second.row(0),
                                     many);
                EXPECT_EQ(0u, differentBits(expected, first));
                EXPECT_EQ(0u, differentBits(expected, second));
            }
}

TEST_F(TwoCopies, QuantisedProducts) {
    for (const Format format : kBlockFormats) {
        const Weights w(random, format, 1, 768);
        const Floats x = Floats::random(random, 1, 768);
        float results[2], rests[2][768];
        for (int copy = 0; copy < 2; ++copy) {
            const Loops& loops = copy == 0 ? plain : fused;
            std::vector<int8_t> weights(768), values(768);
            std::vector<float> scales(48), minimums(48), own(24), sums(24), halves(48);
            const Int8Row row{values.data(), own.data(), sums.data(), halves.data()};
            const UnpackedRow unpacked{weights.data(), scales.data(), minimums.data()};
            loops.quantise(x.row(0), 768, row, rests[copy]);
            loops.unpack(format, w.view.data, 768, unpacked);
            results[copy] = loops.multiplyInt8(unpackedShape(format), unpacked, row, 768);
        }
        EXPECT_EQ(0u, differentBits(&results[0], &results[1], 1)) << quant::info(format).name;
        EXPECT_EQ(0u, differentBits(rests[0], rests[1], 768)) << quant::info(format).name;
    }
}

TEST_F(TwoCopies, RowWise) {
    Floats x = Floats::random(random, 1, 1009, 60);
    const Floats up = Floats::random(random, 1, 1009, 2);
    x.row(0)[5] = -INFINITY;
    Floats a(1, 1009), b(1, 1009);
    const auto same = [&](const char* what) { EXPECT_EQ(0u, differentBits(a, b)) << what; };
    plain.gateUp(up.row(0), x.row(0) + 6, 1000, a.row(0));
    fused.gateUp(up.row(0), x.row(0) + 6, 1000, b.row(0));
    same("gateUp");
    plain.softmax(x.row(0), 1009, a.row(0));
    fused.softmax(x.row(0), 1009, b.row(0));
    same("softmax");
    plain.sigmoid(x.row(0), 1009, a.row(0));
    fused.sigmoid(x.row(0), 1009, b.row(0));
    same("sigmoid");
    plain.norm(up.row(0), x.row(0) + 6, 1e-5f, 1003, a.row(0));
    fused.norm(up.row(0), x.row(0) + 6, 1e-5f, 1003, b.row(0));
    same("norm");
    plain.addScaled(0.3f, up.row(0), 1009, a.row(0));
    fused.addScaled(0.3f, up.row(0), 1009, b.row(0));
    same("addScaled");
    for (const bool interleaved : {false, true}) {
        plain.rope(a.row(0), 1000, up.row(0), x.row(0) + 6, interleaved);
        fused.rope(b.row(0), 1000, up.row(0), x.row(0) + 6, interleaved);
        same("rope");
    }
}

TEST_F(TwoCopies, Bfloat16sAreRoundedAsOneByOne) {
    const Floats x = Floats::random(random, 1, 1009, 60);
    std::vector<uint16_t> first(1009), second(1009);
    plain.toBfloat16s(x.row(0), 1009, reinterpret_cast<std::byte*>(first.data()));
    fused.toBfloat16s(x.row(0), 1009, reinterpret_cast<std::byte*>(second.data()));
    EXPECT_EQ(first, second);
    for (size_t i = 0; i < 1009; ++i)
        ASSERT_EQ(quant::floatToBfloat16(x.row(0)[i]), first[i]) << x.row(0)[i];
}

TEST_F(TwoCopies, Attention) {
    const size_t keyDim = 40, valueDim = 24, positions = 646, heads = 3, rows = 10;
    for (const bool half : {false, true}) {
        std::vector<float> memory(11 * 64 * (keyDim + valueDim));
        for (float& value : memory)
            value = uniform(random, -1, 1);
        auto* bytes = reinterpret_cast<std::byte*>(memory.data());
        if (half)
            for (size_t i = 0; i < memory.size() * 2; ++i)
                reinterpret_cast<uint16_t*>(bytes)[i] = quant::floatToHalf(uniform(random, -1, 1));
        std::vector<std::byte*> pages;
        for (size_t page = 0; page < 11; ++page)
            pages.push_back(bytes + page * 64 * (keyDim + valueDim) * (half ? 2 : 4));
        const Floats q = Floats::random(random, rows, heads * keyDim, 3);
        Floats first(rows, heads * valueDim), second(rows, heads * valueDim), alone(rows, heads * valueDim);
        std::vector<float> scratch(attendScratch(heads * rows, keyDim, valueDim));
        AttendUnit unit{.q = q.row(0),
                        .qStride = keyDim,
                        .qRowStride = q.stride,
                        .heads = heads,
                        .rows = rows,
                        .pages = pages.data(),
                        .keyOffset = 0,
                        .valueOffset = 64 * keyDim * (half ? 2u : 4u),
                        .keyStride = keyDim,
                        .valueStride = valueDim,
                        .keyDim = keyDim,
                        .valueDim = valueDim,
                        .half = half,
                        .scale = 0.4f,
                        .first = 17,
                        .last = positions - rows,
                        .out = first.row(0),
                        .outStride = valueDim,
                        .outRowStride = first.stride,
                        .scratch = scratch.data()};
        plain.attend(unit);
        unit.out = second.row(0);
        fused.attend(unit);
        unit.rows = 1;
        for (size_t r = 0; r < rows; ++r, ++unit.last) {
            unit.q = q.row(r);
            unit.out = alone.row(r);
            fused.attend(unit);
        }
        EXPECT_EQ(0u, differentBits(first, alone)) << "a row knows its neighbours";
        EXPECT_EQ(0u, differentBits(first, second));
    }
}

}  // namespace
}  // namespace conclave::engine::kernels::reference
