#include "engine/synth/draw.h"

#include <cmath>
#include <gtest/gtest.h>

#include "engine/synth/recipe.h"

namespace conclave::engine::synth {
namespace {

using quant::Format;

std::vector<std::byte> drawn(const Drawer& drawer, uint64_t offset, uint64_t bytes) {
    std::vector<std::byte> out(bytes);
    drawer.draw(offset, out);
    return out;
}

class EveryFormat : public testing::TestWithParam<Recipe> {};

TEST_P(EveryFormat, DecodesToFiniteValuesOfTheDeviationAroundZero) {
    const quant::FormatInfo& format = quant::info(GetParam().format);
    for (const double cols : {256.0, 2048.0, 18432.0}) {
        const double wished = 1 / std::sqrt(cols);
        const Drawer drawer(format.format, {0, static_cast<float>(wished)}, 1, "blk.0.attn_q.weight");
        const size_t blocks = (size_t{1} << 20) / format.blockValues;
        const std::vector<std::byte> bytes = drawn(drawer, 0, blocks * format.blockBytes);
        std::vector<float> values(blocks * format.blockValues);
        format.decode(bytes.data(), blocks, values.data());
        double sum = 0, squares = 0, largest = 0;
        for (const float value : values) {
            ASSERT_TRUE(std::isfinite(value));
            sum += value;
            squares += static_cast<double>(value) * value;
            largest = std::max(largest, std::abs(static_cast<double>(value)));
        }
        const double count = static_cast<double>(values.size());
        const double deviation = std::sqrt(squares / count);
        const double off = format.format == Format::MXFP4 ? std::sqrt(2.0) : 1.1;
        EXPECT_GT(deviation, wished / off) << format.name;
        EXPECT_LT(deviation, wished * off) << format.name;
        EXPECT_LT(std::abs(sum / count), wished / 50) << format.name;
        EXPECT_LT(largest, wished * 10) << format.name;
    }
}

TEST_P(EveryFormat, GivesTheSameBytesHoweverTheyAreAskedFor) {
    const Format format = GetParam().format;
    const Drawer drawer(format, {0, 0.02f}, 1, "a");
    const uint64_t whole = quant::rowBytes(format, 256) * 2000;
    const std::vector<std::byte> all = drawn(drawer, 0, whole);
    EXPECT_EQ(drawn(drawer, 0, whole), all);
    std::vector<std::byte> pieces;
    for (uint64_t at = 0, step = 1; at < whole; at += step) {
        step = std::min(whole - at, (step * 7 + 3) % 100001);
        const std::vector<std::byte> piece = drawn(drawer, at, step);
        pieces.insert(pieces.end(), piece.begin(), piece.end());
    }
    EXPECT_EQ(pieces, all);
    EXPECT_NE(drawn(Drawer(format, {0, 0.02f}, 2, "a"), 0, whole), all);
    EXPECT_NE(drawn(Drawer(format, {0, 0.02f}, 1, "b"), 0, whole), all);
}

INSTANTIATE_TEST_SUITE_P(Formats, EveryFormat, testing::ValuesIn(recipes().begin(), recipes().end()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(Drawer, PutsNormsNearOne) {
    const Drawer drawer(Format::F32, {1, 0.05f}, 1, "output_norm.weight");
    std::vector<float> values(2048);
    drawer.draw(0, std::as_writable_bytes(std::span(values)));
    for (const float value : values)
        EXPECT_NEAR(value, 1, 0.1);
}

}  // namespace
}  // namespace conclave::engine::synth
