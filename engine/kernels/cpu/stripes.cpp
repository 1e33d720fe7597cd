#include "engine/kernels/cpu/stripes.h"

#include <cstring>

#include "engine/base/result.h"
#include "engine/kernels/reference/unpack.h"

namespace conclave::engine::kernels::cpu {
namespace {

using quant::Format;
using reference::Unpack;

/// Puts one block's header of row `row` where the groups have it. `part`: which block of the group.
template <Format format>
void packHeader(const std::byte* block, uint32_t row, uint32_t part, std::byte* header) {
    const auto put = [&](size_t at, size_t bytes, const void* from) {
        std::memcpy(header + at, from, bytes);
    };
    const auto& b = Unpack<format>::load(block);
    if constexpr (format == Format::Q4_K || format == Format::Q5_K) {
        put(2 * row, 2, &b.d);
        put(32 + 2 * row, 2, &b.dmin);
        for (uint32_t i = 0; i < 12; ++i)
            put(64 + 16 * i + row, 1, &b.scales[i]);
    } else if constexpr (format == Format::Q6_K) {
        put(2 * row, 2, &b.d);
        for (uint32_t i = 0; i < 16; ++i)
            put(32 + 16 * i + row, 1, &b.scales[i]);
    } else {
        put(32 * part + 2 * row, 2, &b.d);
        if constexpr (stripeForm(format).minimums) put(64 + 32 * part + 2 * row, 2, &b.m);
    }
}

uint64_t eight(const uint8_t* from) {
    uint64_t bytes;
    std::memcpy(&bytes, from, sizeof bytes);
    return bytes;
}
uint32_t four(const uint8_t* from) {
    uint32_t bytes;
    std::memcpy(&bytes, from, sizeof bytes);
    return bytes;
}

/// Low four bits of 32 integers: unit j's word of a row is their j-th word.
void packLow(const uint8_t* integers, uint32_t row, std::byte* block) {
    constexpr uint64_t kLow = 0x0f0f0f0f0f0f0f0f;
    for (uint32_t i = 0; i < 2; ++i) {
        const uint64_t both = (eight(integers + 8 * i) & kLow) | (eight(integers + 16 + 8 * i) & kLow) << 4;
        std::memcpy(block + 128 * i + 4 * row, &both, 4);
        const uint64_t second = both >> 32;
        std::memcpy(block + 128 * i + 64 + 4 * row, &second, 4);
    }
}

/// The 32 integers of row `row`, offset added. Four neighbours are one word all along.
template <uint32_t bits> void packBlock(const uint8_t* integers, uint32_t row, std::byte* block) {
    if constexpr (bits == 8) {
        for (uint32_t j = 0; j < 8; ++j)
            std::memcpy(block + 64 * j + 4 * row, integers + 4 * j, 4);
        return;
    }
    packLow(integers, row, block);
    if constexpr (bits == 5) {
        uint32_t upper = 0;
        for (uint32_t j = 0; j < 8; ++j)
            upper |= (four(integers + 4 * j) >> 4 & 0x01010101) << j;
        std::memcpy(block + 256 + 4 * row, &upper, 4);
    }
    if constexpr (bits == 6) {
        for (uint32_t unit = 0; unit < 2; ++unit) {
            uint32_t upper = 0;
            for (uint32_t j = 0; j < 4; ++j)
                upper |= (four(integers + 16 * unit + 4 * j) >> 4 & 0x03030303) << 2 * j;
            std::memcpy(block + 256 + 64 * unit + 4 * row, &upper, 4);
        }
    }
}

template <uint32_t bits> void unpackBlock(const std::byte* block, uint32_t row, uint8_t* integers) {
    const auto byteAt = [&](size_t at) { return static_cast<uint32_t>(block[at]); };
    for (uint32_t k = 0; k < 32; ++k) {
        const uint32_t j = k / 4, b = k % 4, place = 4 * row + b;
        uint32_t value;
        if constexpr (bits == 8)
            value = byteAt(64 * j + place);
        else
            value = byteAt(64 * (j % 4) + place) >> 4 * (j / 4) & 15;
        if constexpr (bits == 5) value |= (byteAt(256 + place) >> j & 1) << 4;
        if constexpr (bits == 6) value |= (byteAt(256 + 64 * (j / 4) + place) >> 2 * (j % 4) & 3) << 4;
        integers[k] = static_cast<uint8_t>(value);
    }
}

template <Format format>
void pack(const std::byte* rows, size_t stride, uint32_t count, uint32_t cols, std::byte* stripe) {
    using Form = Unpack<format>;
    constexpr StripeForm kForm = stripeForm(format);
    constexpr uint32_t kParts = kForm.group / Form::kValues;  // blocks of the file in a group
    std::memset(stripe, 0, stripeBytes(kForm, cols));
    for (uint32_t at = 0; at < cols; at += Form::kValues) {
        std::byte* group = stripe + at / kForm.group * kForm.groupBytes();
        const uint32_t part = at / Form::kValues % kParts;
        for (uint32_t row = 0; row < count; ++row) {
            const std::byte* block = rows + row * stride + at / Form::kValues * Form::kBytes;
            int8_t integers[Form::kValues];
            uint8_t shifted[Form::kValues];
            float scales[Form::kValues / Form::kRun], minimums[Form::kValues / Form::kRun];
            Form::block(block, integers, scales, minimums);
            for (uint32_t i = 0; i < Form::kValues; ++i)
                shifted[i] = static_cast<uint8_t>(integers[i] + kForm.offset);
            packHeader<format>(block, row, part, group);
            for (uint32_t i = 0; i < Form::kValues; i += 32)
                packBlock<kForm.bits>(shifted + i, row,
                                      group + kForm.headerBytes +
                                          (part * Form::kValues + i) / 32 * kForm.blockBytes);
        }
    }
}

/// Scale and minimum of row `row` at value `k` of a group.
template <Format format>
void scaleAt(const std::byte* header, uint32_t row, uint32_t k, float& scale, float& minimum) {
    const auto half = [&](size_t at) {
        uint16_t bits;
        std::memcpy(&bits, header + at + 2 * row, 2);
        return quant::halfToFloat(bits);
    };
    minimum = 0;
    if constexpr (format == Format::Q4_K || format == Format::Q5_K) {
        uint8_t packed[12];
        for (uint32_t i = 0; i < 12; ++i)
            packed[i] = static_cast<uint8_t>(header[64 + 16 * i + row]);
        const auto both = quant::unpackScaleAndMin(packed, k / 32);
        scale = half(0) * both.scale;
        minimum = half(32) * both.min;
    } else if constexpr (format == Format::Q6_K) {
        scale = half(0) * static_cast<float>(static_cast<int8_t>(header[32 + k / 16 * 16 + row]));
    } else {
        scale = half(k / 32 * 32);
        if constexpr (stripeForm(format).minimums) minimum = -half(64 + k / 32 * 32);
    }
}

template <Format format> void decode(const std::byte* stripe, uint32_t row, uint32_t cols, float* out) {
    constexpr StripeForm kForm = stripeForm(format);
    for (uint32_t at = 0; at < cols; at += 32) {
        const std::byte* group = stripe + at / kForm.group * kForm.groupBytes();
        uint8_t integers[32];
        unpackBlock<kForm.bits>(group + kForm.headerBytes + at % kForm.group / 32 * kForm.blockBytes, row,
                                integers);
        for (uint32_t i = 0; i < 32; ++i) {
            float scale, minimum;
            scaleAt<format>(group, row, at % kForm.group + i, scale, minimum);
            const float value = scale * static_cast<float>(static_cast<int32_t>(integers[i]) - kForm.offset);
            out[at + i] = kForm.minimums ? value - minimum : value;
        }
    }
}

struct Functions {
    Format format;
    void (*pack)(const std::byte*, size_t, uint32_t, uint32_t, std::byte*);
    void (*decode)(const std::byte*, uint32_t, uint32_t, float*);
};
template <Format format> constexpr Functions functionsOf() {
    return {format, pack<format>, decode<format>};
}
constexpr Functions kFunctions[] = {functionsOf<Format::Q4_0>(), functionsOf<Format::Q4_1>(),
                                    functionsOf<Format::Q5_0>(), functionsOf<Format::Q5_1>(),
                                    functionsOf<Format::Q8_0>(), functionsOf<Format::Q4_K>(),
                                    functionsOf<Format::Q5_K>(), functionsOf<Format::Q6_K>()};

const Functions& find(Format format) {
    const Functions* found = nullptr;
    for (const Functions& one : kFunctions)
        if (one.format == format) found = &one;
    CONCLAVE_CHECK(found != nullptr);
    return *found;
}

}  // namespace

void packStripe(Format format, const std::byte* rows, size_t stride, uint32_t count, uint32_t cols,
                std::byte* stripe) {
    find(format).pack(rows, stride, count, cols, stripe);
}

void decodeStripeRow(Format format, const std::byte* stripe, uint32_t row, uint32_t cols, float* out) {
    find(format).decode(stripe, row, cols, out);
}

}  // namespace conclave::engine::kernels::cpu
