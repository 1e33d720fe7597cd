#include <bit>
#include <cmath>
#include <gtest/gtest.h>
#include <set>
#include <string>

#include "engine/quant/format.h"

namespace conclave::engine::quant {
namespace {

TEST(Format, RowsAreConsistent) {
    std::set<std::string_view> names;
    for (size_t i = 0; i < kFormatCount; ++i) {
        const FormatInfo& row = info(static_cast<Format>(i));
        EXPECT_EQ(static_cast<size_t>(row.format), i);
        EXPECT_TRUE(names.insert(row.name).second);
        EXPECT_EQ(fromName(row.name), row.format);
        if (row.ggmlType >= 0) {
            EXPECT_EQ(fromGgmlType(static_cast<uint32_t>(row.ggmlType)), row.format);
            EXPECT_EQ(ggmlTypeName(static_cast<uint32_t>(row.ggmlType)), row.name);
        }
    }
    EXPECT_EQ(fromName("q8_0"), Format::Q8_0);
    EXPECT_EQ(fromName("bf16"), Format::BF16);
    EXPECT_FALSE(fromName("q8_00"));
    EXPECT_FALSE(fromName(""));
}

TEST(Format, ForeignTypesHaveNames) {
    EXPECT_EQ(ggmlTypeName(16), "IQ2_XXS");
    EXPECT_EQ(ggmlTypeName(18), "IQ3_XXS");
    EXPECT_EQ(ggmlTypeName(34), "TQ1_0");
    EXPECT_EQ(ggmlTypeName(40), "NVFP4");
    EXPECT_FALSE(fromGgmlType(16));
    EXPECT_EQ(ggmlTypeName(4000), "");
    EXPECT_FALSE(fromGgmlType(0xffffffffu));
}

TEST(Format, BytesOfARow) {
    EXPECT_EQ(rowBytes(Format::F32, 7), 28u);
    EXPECT_EQ(rowBytes(Format::Q8_0, 64), 68u);
    EXPECT_EQ(rowBytes(Format::Q8_0, 33), 0u);
    EXPECT_EQ(rowBytes(Format::Q4_K, 512), 288u);
    EXPECT_EQ(rowBytes(Format::Q4_K, 128), 0u);
}

TEST(Format, EveryHalfSurvivesTheRoundTrip) {
    for (uint32_t bits = 0; bits < 65536; ++bits) {
        const float value = halfToFloat(static_cast<uint16_t>(bits));
        if ((bits & 0x7fff) > 0x7c00) {
            EXPECT_TRUE(std::isnan(value));
        } else {
            ASSERT_EQ(floatToHalf(value), bits);
        }
    }
}

TEST(Format, HalfRoundsToNearestEven) {
    // Between each two neighbouring halves: just below the middle, the middle, just above it.
    for (uint32_t bits = 0; bits < 0x7bff; ++bits) {
        const float low = halfToFloat(static_cast<uint16_t>(bits)),
                    high = halfToFloat(static_cast<uint16_t>(bits + 1));
        const float middle = low + (high - low) / 2;
        ASSERT_EQ(floatToHalf(middle), bits % 2 == 0 ? bits : bits + 1);
        ASSERT_EQ(floatToHalf(std::nextafter(middle, 0.0f)), bits);
        ASSERT_EQ(floatToHalf(std::nextafter(middle, 1e30f)), bits + 1);
        ASSERT_EQ(floatToHalf(-std::nextafter(middle, 1e30f)), (bits + 1) | 0x8000);
    }
    EXPECT_EQ(floatToHalf(65519.996f), 0x7bff);
    EXPECT_EQ(floatToHalf(65520.0f), 0x7c00);
    EXPECT_EQ(floatToHalf(INFINITY), 0x7c00);
    EXPECT_EQ(floatToHalf(-INFINITY), 0xfc00);
    EXPECT_TRUE(std::isnan(halfToFloat(floatToHalf(NAN))));
}

TEST(Format, EveryBfloat16SurvivesTheRoundTrip) {
    for (uint32_t bits = 0; bits < 65536; ++bits) {
        const float value = bfloat16ToFloat(static_cast<uint16_t>(bits));
        if ((bits & 0x7fff) > 0x7f80) {
            EXPECT_TRUE(std::isnan(bfloat16ToFloat(floatToBfloat16(value))));
        } else {
            ASSERT_EQ(floatToBfloat16(value), bits);
        }
    }
    EXPECT_EQ(floatToBfloat16(std::bit_cast<float>(0x3f808000u)), 0x3f80);
    EXPECT_EQ(floatToBfloat16(std::bit_cast<float>(0x3f818000u)), 0x3f82);
    EXPECT_EQ(floatToBfloat16(std::bit_cast<float>(0x3f808001u)), 0x3f81);
    EXPECT_TRUE(std::isnan(bfloat16ToFloat(floatToBfloat16(std::bit_cast<float>(0x7f800001u)))));
}

TEST(Format, E4m3AsThePaperSays) {
    EXPECT_EQ(e4m3ToFloat(0x00), 0.0f);
    EXPECT_TRUE(std::signbit(e4m3ToFloat(0x80)));
    EXPECT_EQ(e4m3ToFloat(0x01), std::ldexp(1.0f, -9));
    EXPECT_EQ(e4m3ToFloat(0x07), std::ldexp(7.0f, -9));
    EXPECT_EQ(e4m3ToFloat(0x08), std::ldexp(1.0f, -6));
    EXPECT_EQ(e4m3ToFloat(0x38), 1.0f);
    EXPECT_EQ(e4m3ToFloat(0x7e), 448.0f);
    EXPECT_EQ(e4m3ToFloat(0xfe), -448.0f);
    EXPECT_TRUE(std::isnan(e4m3ToFloat(0x7f)));
    EXPECT_TRUE(std::isnan(e4m3ToFloat(0xff)));
    for (unsigned bits = 1; bits < 0x7f; ++bits)
        EXPECT_GT(e4m3ToFloat(static_cast<uint8_t>(bits)), e4m3ToFloat(static_cast<uint8_t>(bits - 1)));
}

}  // namespace
}  // namespace conclave::engine::quant
