#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "engine/quant/format.h"
#include "engine/quant/mxfp4.h"
#include "engine/quant/q4_k.h"

namespace conclave::engine::quant {
namespace {

/// A record of tests/fixtures/quant/blocks.bin; make.py beside it says how they are laid out.
struct Record {
    char kind;
    Format format;
    size_t count;
    std::vector<std::byte> blocks;
    std::vector<float> values;
};

std::vector<Record> readRecords() {
    std::ifstream file(CONCLAVE_SOURCE_DIR "/tests/fixtures/quant/blocks.bin", std::ios::binary);
    const std::string data{std::istreambuf_iterator<char>(file), {}};
    std::vector<Record> records;
    size_t at = 0;
    const auto take = [&](void* to, size_t bytes) {
        ASSERT_LE(at + bytes, data.size());
        std::memcpy(to, data.data() + at, bytes);
        at += bytes;
    };
    while (at < data.size()) {
        Record record;
        uint8_t length;
        take(&record.kind, 1);
        take(&length, 1);
        std::string name(length, '\0');
        take(name.data(), length);
        record.format = fromName(name).value();
        uint32_t count;
        take(&count, sizeof count);
        record.count = count;
        record.blocks.resize(size_t{count} * info(record.format).blockBytes);
        take(record.blocks.data(), record.blocks.size());
        record.values.resize(size_t{count} * info(record.format).blockValues);
        take(record.values.data(), record.values.size() * sizeof(float));
        records.push_back(std::move(record));
    }
    return records;
}

bool sameBits(float a, float b) {
    return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b) || (std::isnan(a) && std::isnan(b));
}

TEST(Blocks, DecodeEveryFormatAsRecorded) {
    std::set<Format> seen;
    for (const Record& record : readRecords()) {
        if (record.kind != 'D') continue;
        seen.insert(record.format);
        std::vector<float> out(record.values.size());
        info(record.format).decode(record.blocks.data(), record.count, out.data());
        for (size_t i = 0; i < out.size(); ++i)
            ASSERT_TRUE(sameBits(out[i], record.values[i])) << info(record.format).name << " value " << i
                                                            << ": " << out[i] << " for " << record.values[i];
    }
    for (size_t i = 0; i < kFormatCount; ++i) {
        const FormatInfo& row = info(static_cast<Format>(i));
        EXPECT_EQ(seen.count(row.format), row.decode && row.ggmlType >= 0 ? 1u : 0u) << row.name;
    }
}

TEST(Blocks, EncodeAsRecorded) {
    std::set<Format> seen;
    for (const Record& record : readRecords()) {
        if (record.kind != 'E') continue;
        seen.insert(record.format);
        std::vector<std::byte> out(record.blocks.size());
        info(record.format).encode(record.values.data(), record.count, out.data());
        for (size_t i = 0; i < out.size(); ++i)
            ASSERT_EQ(out[i], record.blocks[i]) << info(record.format).name << " byte " << i;
    }
    EXPECT_EQ(seen, (std::set<Format>{Format::F32, Format::F16, Format::BF16, Format::Q8_0, Format::Q4_0}));
}

TEST(Blocks, BlocksMayStandAtAnyAddress) {
    for (const Record& record : readRecords()) {
        if (record.kind != 'D') continue;
        std::vector<std::byte> shifted(record.blocks.size() + 1);
        std::memcpy(shifted.data() + 1, record.blocks.data(), record.blocks.size());
        std::vector<float> out(record.values.size());
        info(record.format).decode(shifted.data() + 1, record.count, out.data());
        for (size_t i = 0; i < out.size(); ++i)
            ASSERT_TRUE(sameBits(out[i], record.values[i])) << info(record.format).name;
    }
}

TEST(Blocks, ABlockThatIsNotFiniteStaysRecognisable) {
    for (const Format format : {Format::Q8_0, Format::Q4_0}) {
        for (const float bad :
             {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
              -std::numeric_limits<float>::infinity()}) {
            std::vector<float> values(32, 1.0f), out(32);
            values[7] = bad;
            std::vector<std::byte> block(info(format).blockBytes);
            info(format).encode(values.data(), 1, block.data());
            info(format).decode(block.data(), 1, out.data());
            for (const float value : out)
                EXPECT_TRUE(std::isnan(value));
        }
    }
}

TEST(Blocks, HalvesGoAwayFromZeroAndWhatIsJustBelowDoesNot) {
    std::vector<float> values(32), out(32);
    std::vector<std::byte> block(info(Format::Q8_0).blockBytes);
    for (int whole = 0; whole < 126; ++whole)
        for (const float sign : {1.0f, -1.0f}) {
            const float half = static_cast<float>(whole) + 0.5f;
            values = {127, half, std::nextafter(half, 0.0f), std::nextafter(half, 127.0f),
                      static_cast<float>(whole)};
            values.resize(32);
            for (float& value : values)
                value *= sign;  // the scale is 1
            info(Format::Q8_0).encode(values.data(), 1, block.data());
            info(Format::Q8_0).decode(block.data(), 1, out.data());
            for (size_t i = 0; i < values.size(); ++i)
                ASSERT_EQ(out[i], std::round(values[i])) << values[i];
        }
}

TEST(Blocks, TinyValuesEncodeToZeros) {
    for (const Format format : {Format::Q8_0, Format::Q4_0}) {
        std::vector<float> values(32, std::numeric_limits<float>::denorm_min()), out(32, 1.0f);
        std::vector<std::byte> block(info(format).blockBytes);
        info(format).encode(values.data(), 1, block.data());
        info(format).decode(block.data(), 1, out.data());
        for (const float value : out)
            EXPECT_EQ(value, 0.0f);
    }
}

TEST(Blocks, ScalesOfMxfp4ArePowersOfTwo) {
    for (int e = 0; e < 256; ++e)
        EXPECT_EQ(e8m0Half(static_cast<uint8_t>(e)), std::ldexp(1.0f, e - 128)) << e;
}

TEST(Blocks, PackedScalesAndMinimumsCoverTheirSixBits) {
    // Setting every bit of the 12 bytes in turn must change exactly one scale or minimum by one power of two.
    for (int bit = 0; bit < 96; ++bit) {
        uint8_t packed[12] = {};
        packed[bit / 8] = static_cast<uint8_t>(1 << bit % 8);
        int total = 0;
        for (size_t i = 0; i < 8; ++i) {
            const ScaleAndMin unpacked = unpackScaleAndMin(packed, i);
            EXPECT_LT(unpacked.scale, 64);
            EXPECT_LT(unpacked.min, 64);
            total += std::popcount(unpacked.scale) + std::popcount(unpacked.min);
        }
        EXPECT_EQ(total, 1) << bit;
    }
}

}  // namespace
}  // namespace conclave::engine::quant
