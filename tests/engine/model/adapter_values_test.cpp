#include "engine/model/adapter_values.h"

#include <gtest/gtest.h>
#include <limits>

#include "engine/model/adapter_layout.h"

namespace conclave::engine::model {
namespace {

using quant::Format;

/// A tensor of numbers that every float format holds exactly: value i is i modulo 64.
struct Tensor {
    std::vector<std::byte> bytes;
    formats::TensorInfo info;

    Tensor(Format format, uint64_t rows, uint64_t cols) {
        std::vector<float> values;
        for (uint64_t i = 0; i < rows * cols; ++i)
            values.push_back(static_cast<float>(i % 64));
        bytes.resize(quant::rowBytes(format, values.size()));
        quant::info(format).encode(values.data(), values.size() / quant::info(format).blockValues,
                                   bytes.data());
        info.name = "blk.0.attn_q.weight.lora_a";
        info.file = "a.gguf";
        info.format = format;
        info.shape = {rows, cols};
        info.bytes = bytes;
    }
    /// Overwrites the value at `index`.
    void set(size_t index, float value) {
        const size_t each = quant::info(info.format).blockBytes;
        quant::info(info.format).encode(&value, 1, bytes.data() + index * each);
    }
};

std::vector<float> filled(const AdapterValues& values, const FactorSource& source,
                          const std::vector<uint32_t>& order, uint32_t rank, uint32_t count, Format format) {
    std::vector<std::byte> out(size_t{rank} * quant::rowBytes(format, count));
    values.fill(source, order, rank, count, format, out.data());
    std::vector<float> floats(size_t{rank} * count);
    quant::info(format).decode(out.data(), floats.size(), floats.data());
    return floats;
}

class PlainFormats : public testing::TestWithParam<Format> {};

TEST_P(PlainFormats, GoWhereTheirSourceSays) {
    constexpr uint32_t kRank = 3, kValues = 70;  // more than one tile, and a part of one
    const Tensor b(GetParam(), kValues, kRank);
    const auto values = AdapterValues::of(b.info, "a.gguf");
    ASSERT_TRUE(values.ok()) << base::render(values.error());
    std::vector<uint32_t> backwards;
    for (uint32_t i = 0; i < kValues; ++i)
        backwards.push_back(kValues - 1 - i);
    const FactorSource transposed{false, 0, 1, kRank};
    const FactorSource behind{false, 5, kValues, 1};
    for (const Format format : {keptFormat(GetParam()), Format::F32}) {
        const auto forwards = filled(*values, transposed, {}, kRank, kValues, format);
        const auto turned = filled(*values, transposed, backwards, kRank, kValues, format);
        for (uint32_t k = 0; k < kRank; ++k)
            for (uint32_t i = 0; i < kValues; ++i) {
                EXPECT_EQ(forwards[k * kValues + i], static_cast<float>((i * kRank + k) % 64));
                EXPECT_EQ(turned[k * kValues + i], static_cast<float>(((kValues - 1 - i) * kRank + k) % 64));
            }
        const auto rows = filled(*values, behind, {}, 2, kValues, format);
        for (uint32_t i = 0; i < 2 * kValues; ++i)
            EXPECT_EQ(rows[i], static_cast<float>((5 + i) % 64));
    }
}

TEST_P(PlainFormats, AreRefusedWhereTheyAreNotFiniteWhereverThatIs) {
    for (const size_t place : {size_t{0}, size_t{255}, size_t{256}, size_t{599}})
        for (const float bad :
             {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
            Tensor a(GetParam(), 2, 300);
            EXPECT_TRUE(AdapterValues::of(a.info, "a.gguf").ok());
            a.set(place, bad);
            const auto values = AdapterValues::of(a.info, "a.gguf");
            ASSERT_FALSE(values.ok()) << place;
            EXPECT_EQ(values.error().code, base::Code::ValueOutOfRange);
        }
}

INSTANTIATE_TEST_SUITE_P(Formats, PlainFormats, testing::Values(Format::F32, Format::F16, Format::BF16),
                         [](const auto& info) { return std::string(quant::info(info.param).name); });

TEST(AdapterLayout, WhatSeveralMatricesShareLiesOnceAsFloats) {
    const Tensor a(Format::F16, 2, 32), b(Format::F16, 64, 2);
    const AdapterPair pair{"blk.0.attn_kv_b", &a.info, &b.info};
    std::vector<FactorPlan> plans(2);
    for (uint32_t head = 0; head < 2; ++head) {
        plans[head].part = head;
        plans[head].rank = 2;
        plans[head].inputs = plans[head].outputs = 32;
        plans[head].a = {true, 0, 32, 1};
        plans[head].b = {false, size_t{head} * 64, 1, 2};
    }
    size_t used = 64;
    const std::vector<PlacedPlan> placed = placeFactors(pair, plans, used);
    ASSERT_EQ(placed.size(), 2u);
    EXPECT_EQ(placed[0].a.format, Format::F32);
    EXPECT_EQ(placed[0].a.offset, 64u);
    EXPECT_TRUE(placed[0].a.first);
    EXPECT_EQ(placed[1].a.offset, placed[0].a.offset);
    EXPECT_FALSE(placed[1].a.first);
    EXPECT_EQ(placed[0].b.format, Format::F16);
    EXPECT_NE(placed[0].b.offset, placed[1].b.offset);
    EXPECT_TRUE(placed[0].b.first && placed[1].b.first);
    EXPECT_EQ(used, 64 + 2 * 32 * 4 + 2 * 2 * 32 * 2u);
}

}  // namespace
}  // namespace conclave::engine::model
