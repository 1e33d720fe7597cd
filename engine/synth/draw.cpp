#include "engine/synth/draw.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "engine/base/result.h"
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

namespace conclave::engine::synth {
namespace {

using quant::Format;

constexpr uint64_t kPieceBytes = uint64_t{64} << 10;  // at most
constexpr size_t kSteps = 4096;                       // different values of F16 and BF16

/// SplitMix64 (Steele, Lea and Flood 2014): spreads a counter over all bits.
uint64_t mixed(uint64_t x) {
    x += 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
}

/// xoshiro256++ (Blackman and Vigna 2019).
class Generator {
  public:
    explicit Generator(uint64_t key) {
        for (uint64_t& word : state_)
            word = key = mixed(key);
    }

    uint64_t next() {
        const uint64_t out = std::rotl(state_[0] + state_[3], 23) + state_[0];
        const uint64_t shifted = state_[1] << 17;
        state_[2] ^= state_[0];
        state_[3] ^= state_[1];
        state_[1] ^= state_[2];
        state_[0] ^= state_[3];
        state_[2] ^= shifted;
        state_[3] = std::rotl(state_[3], 45);
        return out;
    }

    void fill(std::span<std::byte> out) {
        size_t at = 0;
        for (; at + sizeof(uint64_t) <= out.size(); at += sizeof(uint64_t)) {
            const uint64_t word = next();
            std::memcpy(out.data() + at, &word, sizeof word);
        }
        const uint64_t word = next();
        std::memcpy(out.data() + at, &word, out.size() - at);
    }

  private:
    uint64_t state_[4];
};

/// FNV-1a.
uint64_t hashOf(std::string_view text) {
    uint64_t hash = 0xcbf29ce484222325;
    for (const char c : text)
        hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
    return hash;
}

// Deviation of a whole number that is equally likely everywhere from `least` to `most`, around 0.
double spread(int least, int most) {
    double sum = 0;
    for (int i = least; i <= most; ++i)
        sum += static_cast<double>(i) * i;
    return std::sqrt(sum / (most - least + 1));
}

/// Of the same around its middle.
double spreadAround(int most) {
    return std::sqrt((std::pow(most + 1.0, 2) - 1) / 12);
}

double spreadOf(std::span<const int8_t> steps) {
    double sum = 0;
    for (const int8_t step : steps)
        sum += static_cast<double>(step) * step;
    return std::sqrt(sum / static_cast<double>(steps.size()));
}

/// Where a format's blocks have their scale, and what it means.
struct ScaleRule {
    size_t scaleAt;    ///< byte of the half
    size_t secondAt;   ///< of the minimum's half; 0 = none
    double deviation;  ///< of a block's values where the scale is 1
    double second;     ///< the minimum that brings the mean to 0, where the scale is 1
    bool bothSigns;
};

ScaleRule ruleOf(Format format) {
    using namespace quant;
    switch (format) {
    case Format::Q8_0:
        return {offsetof(BlockQ8_0, d), 0, spread(-128, 127), 0, true};
    case Format::Q4_0:
        return {offsetof(BlockQ4_0, d), 0, spread(-8, 7), 0, true};
    case Format::Q4_1:
        return {offsetof(BlockQ4_1, d), offsetof(BlockQ4_1, m), spreadAround(15), -7.5, false};
    case Format::Q5_0:
        return {offsetof(BlockQ5_0, d), 0, spread(-16, 15), 0, true};
    case Format::Q5_1:
        return {offsetof(BlockQ5_1, d), offsetof(BlockQ5_1, m), spreadAround(31), -15.5, false};
    case Format::Q2_K:  // with equal scales and minimums, as tidyScales makes them
        return {offsetof(BlockQ2_K, d), offsetof(BlockQ2_K, dmin), spread(0, 15) * spreadAround(3), 1.5,
                false};
    case Format::Q3_K:
        return {offsetof(BlockQ3_K, d), 0, spread(-32, 31) * spread(-4, 3), 0, true};
    case Format::Q4_K:
        return {offsetof(BlockQ4_K, d), offsetof(BlockQ4_K, dmin), spread(0, 63) * spreadAround(15), 7.5,
                false};
    case Format::Q5_K:
        return {offsetof(BlockQ5_K, d), offsetof(BlockQ5_K, dmin), spread(0, 63) * spreadAround(31), 15.5,
                false};
    case Format::Q6_K:
        return {offsetof(BlockQ6_K, d), 0, spread(-128, 127) * spread(-32, 31), 0, true};
    case Format::IQ4_NL:
        return {offsetof(BlockIQ4_NL, d), 0, spreadOf(kIq4Steps), 0, true};
    case Format::IQ4_XS:
        return {offsetof(BlockIQ4_XS, d), 0, spread(-32, 31) * spreadOf(kIq4Steps), 0, true};
    default:
        CONCLAVE_CHECK(false && "a format with halves as scales");
        return {};
    }
}

/// Makes a block's minimums equal to its scales, so that only the half beside them sets the mean.
void tidyScales(Format format, std::byte* block) {
    if (format == Format::Q2_K) {
        for (size_t i = offsetof(quant::BlockQ2_K, scales); i < sizeof(quant::BlockQ2_K::scales); ++i)
            block[i] = (block[i] & std::byte{15}) | (block[i] << 4);
        return;
    }
    static_assert(offsetof(quant::BlockQ4_K, scales) == offsetof(quant::BlockQ5_K, scales));
    std::byte* packed = block + offsetof(quant::BlockQ4_K, scales);
    for (size_t i = 0; i < 4; ++i) {
        packed[i + 4] = packed[i];
        packed[i + 8] = (packed[i + 8] & std::byte{15}) | (packed[i + 8] << 4);
    }
}

bool hasMinimums(Format format) {
    return format == Format::Q2_K || format == Format::Q4_K || format == Format::Q5_K;
}

/// The i-th of `count` numbers that lie evenly around 0 with the deviation 1.
double evenly(size_t i, size_t count) {
    return ((static_cast<double>(i) + 0.5) / static_cast<double>(count) - 0.5) * std::sqrt(12.0);
}

/// 0.75 to 1.25: blocks are not all alike.
double variation(size_t i) {
    return 0.75 + 0.5 * static_cast<double>(i % 16) / 15;
}

}  // namespace

Drawer::Drawer(Format format, Values values, uint64_t seed, std::string_view name)
    : format_(format), values_(values), key_(mixed(seed) ^ hashOf(name)) {
    const quant::FormatInfo& info = quant::info(format);
    pieceBytes_ = kPieceBytes / info.blockBytes * info.blockBytes;
    if (format == Format::F32) return;
    CONCLAVE_CHECK(values.mean == 0 && info.decode != nullptr && format != Format::F8E4M3);
    if (format == Format::F16 || format == Format::BF16) {
        for (size_t i = 0; i < kSteps; ++i) {
            const auto value = static_cast<float>(values.deviation * evenly(i, kSteps));
            steps_.push_back(format == Format::F16 ? quant::floatToHalf(value)
                                                   : quant::floatToBfloat16(value));
        }
        return;
    }
    if (format == Format::MXFP4) {
        const double scale = 2 * values.deviation / spreadOf(quant::kMxfp4Steps);
        exponents_.fill(static_cast<uint8_t>(127 + std::lround(std::log2(scale))));
        return;
    }
    const ScaleRule rule = ruleOf(format);
    for (size_t i = 0; i < scales_.size(); ++i) {
        const double sign = rule.bothSigns && i >= 16 ? -1 : 1;
        const double scale = sign * variation(i) * values.deviation / rule.deviation;
        scales_[i] = quant::floatToHalf(static_cast<float>(scale));
        // From the scale as it was rounded: the mean is 0 for what is stored.
        seconds_[i] = quant::floatToHalf(
            static_cast<float>(rule.second * static_cast<double>(quant::halfToFloat(scales_[i]))));
    }
}

void Drawer::drawPiece(uint64_t piece, std::span<std::byte> out) const {
    Generator(key_ + piece * 0x9e3779b97f4a7c15).fill(out);
    if (format_ == Format::F32) {
        const float width = values_.deviation * std::sqrt(12.0f);
        for (size_t at = 0; at < out.size(); at += sizeof(float)) {
            uint32_t bits;
            std::memcpy(&bits, out.data() + at, sizeof bits);
            const float one = std::bit_cast<float>(bits >> 9 | 0x3f800000);  // 1 to 2
            const float value = values_.mean + (one - 1.5f) * width;
            std::memcpy(out.data() + at, &value, sizeof value);
        }
        return;
    }
    if (!steps_.empty()) {
        for (size_t at = 0; at < out.size(); at += sizeof(uint16_t)) {
            uint16_t bits;
            std::memcpy(&bits, out.data() + at, sizeof bits);
            std::memcpy(out.data() + at, &steps_[bits % kSteps], sizeof bits);
        }
        return;
    }
    const size_t blockBytes = quant::info(format_).blockBytes;
    if (format_ == Format::MXFP4) {
        for (size_t at = 0; at < out.size(); at += blockBytes)
            out[at] = std::byte{exponents_[static_cast<size_t>(out[at]) % exponents_.size()]};
        return;
    }
    const ScaleRule rule = ruleOf(format_);
    const bool minimums = hasMinimums(format_);
    for (size_t at = 0; at < out.size(); at += blockBytes) {
        std::byte* block = out.data() + at;
        const size_t chosen = static_cast<size_t>(block[rule.scaleAt]) % scales_.size();
        std::memcpy(block + rule.scaleAt, &scales_[chosen], sizeof(uint16_t));
        if (rule.secondAt > 0) std::memcpy(block + rule.secondAt, &seconds_[chosen], sizeof(uint16_t));
        if (minimums) tidyScales(format_, block);
    }
}

void Drawer::draw(uint64_t offset, std::span<std::byte> out) const {
    const uint64_t blockBytes = quant::info(format_).blockBytes;
    std::vector<std::byte> edge;
    while (!out.empty()) {
        const uint64_t piece = offset / pieceBytes_, skipped = offset % pieceBytes_;
        const uint64_t taken = std::min<uint64_t>(pieceBytes_ - skipped, out.size());
        if (skipped == 0 && taken % blockBytes == 0) {
            drawPiece(piece, out.first(taken));
        } else {
            edge.resize((skipped + taken + blockBytes - 1) / blockBytes * blockBytes);
            drawPiece(piece, edge);
            std::copy_n(edge.begin() + static_cast<ptrdiff_t>(skipped), taken, out.begin());
        }
        out = out.subspan(taken);
        offset += taken;
    }
}

}  // namespace conclave::engine::synth
