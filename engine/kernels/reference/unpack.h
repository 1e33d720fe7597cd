#pragma once

#include "engine/kernels/halves.h"
#include "engine/quant/format.h"
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

/// Block formats taken apart into integers: value = scale * integer - minimum, exact but for the one rounding
/// of the difference, and so equal to what quant decodes. The layouts are specified in engine/quant. Internal
/// linkage, as in lanes.h: these run in the inner loops of two instruction sets.
namespace conclave::engine::kernels::reference {

/// Integers, scales and minimums of one block; `kRun` values share a scale.
template <quant::Format> struct Unpack;

/// A block where it lies: read in place, at any address. A copy on the stack would be read in other pieces
/// than it was written in, which costs more than the decoding.
template <class Block, uint32_t values, uint32_t run, bool minimums> struct UnpackTraits {
    static constexpr uint32_t kValues = values, kRun = run;
    static constexpr bool kMinimums = minimums;
    static constexpr size_t kBytes = sizeof(Block);
    using Anywhere [[gnu::aligned(1)]] = Block;
    CONCLAVE_INLINE const Anywhere& load(const std::byte* in) {
        return *reinterpret_cast<const Anywhere*>(in);
    }
};

/// Low halves of 16 bytes are values 0–15, high halves 16–31.
CONCLAVE_INLINE void nibbles16(const uint8_t* qs, int offset, int8_t* values) {
#pragma GCC unroll 1
    for (int j = 0; j < 16; ++j) {
        values[j] = static_cast<int8_t>((qs[j] & 15) - offset);
        values[j + 16] = static_cast<int8_t>((qs[j] >> 4) - offset);
    }
}

/// Bit j of `bits` as bit 4 of byte j.
CONCLAVE_INLINE uint64_t spread(uint8_t bits) {
    const uint64_t each = (uint64_t{bits} * 0x0101010101010101) & 0x8040201008040201;
    return ((each + 0x7f7f7f7f7f7f7f7f) & 0x8080808080808080) >> 3;
}

/// As nibbles16, with a fifth bit each from 4 bytes, value j's in bit j.
CONCLAVE_INLINE void nibblesAndFifth(const uint8_t* qs, const uint8_t* qh, int offset, int8_t* values) {
    constexpr uint64_t kLow = 0x0f0f0f0f0f0f0f0f, kTop = 0x8080808080808080;
    const uint64_t offsets = static_cast<uint64_t>(offset) * 0x0101010101010101;
#pragma GCC unroll 1
    for (int i = 0; i < 2; ++i) {
        uint64_t both;
        __builtin_memcpy(&both, qs + 8 * i, sizeof both);
        // The top bit keeps a byte from borrowing of its neighbour.
        const uint64_t first = (((both & kLow) | spread(qh[i]) | kTop) - offsets) ^ kTop,
                       second = (((both >> 4 & kLow) | spread(qh[2 + i]) | kTop) - offsets) ^ kTop;
        __builtin_memcpy(values + 8 * i, &first, sizeof first);
        __builtin_memcpy(values + 16 + 8 * i, &second, sizeof second);
    }
}

using Bytes16 = int8_t __attribute__((vector_size(16)));

CONCLAVE_INLINE Bytes16 loadBytes16(const void* from) {
    Bytes16 value;
    __builtin_memcpy(&value, from, sizeof value);
    return value;
}

/// steps[index] in each of sixteen lanes.
CONCLAVE_INLINE Bytes16 lookUp(Bytes16 steps, Bytes16 index) {
#if defined(__clang__)
    Bytes16 value;
    for (int i = 0; i < 16; ++i)
        value[i] = steps[index[i]];
    return value;
#else
    return __builtin_shuffle(steps, index);
#endif
}

/// As nibbles16, through a table of sixteen steps.
CONCLAVE_INLINE void steps16(const uint8_t* qs, const int8_t* table, int8_t* values) {
    const Bytes16 steps = loadBytes16(table), both = loadBytes16(qs);
    const Bytes16 low = lookUp(steps, both & 15), high = lookUp(steps, both >> 4 & 15);
    __builtin_memcpy(values, &low, sizeof low);
    __builtin_memcpy(values + 16, &high, sizeof high);
}

template <> struct Unpack<quant::Format::Q4_0> : UnpackTraits<quant::BlockQ4_0, 32, 32, false> {
    CONCLAVE_INLINE void block(const std::byte* in, int8_t* values, float* scales, float*) {
        const auto& b = load(in);
        scales[0] = halfToFloat(b.d);
        nibbles16(b.qs, 8, values);
    }
};

template <> struct Unpack<quant::Format::Q4_1> : UnpackTraits<quant::BlockQ4_1, 32, 32, true> {
    CONCLAVE_INLINE void block(const std::byte* in, int8_t* values, float* scales, float* minimums) {
        const auto& b = load(in);
        scales[0] = halfToFloat(b.d);
        minimums[0] = -halfToFloat(b.m);
        nibbles16(b.qs, 0, values);
    }
};

template <> struct Unpack<quant::Format::Q5_0> : UnpackTraits<quant::BlockQ5_0, 32, 32, false> {
    CONCLAVE_INLINE void block(const std::byte* in, int8_t* values, float* scales, float*) {
        const auto& b = load(in);
        scales[0] = halfToFloat(b.d);
        nibblesAndFifth(b.qs, b.qh, 16, values);
    }
};

template <> struct Unpack<quant::Format::Q5_1> : UnpackTraits<quant::BlockQ5_1, 32, 32, true> {
    CONCLAVE_INLINE void block(const std::byte* in, int8_t* values, float* scales, float* minimums) {
        const auto& b = load(in);
        scales[0] = halfToFloat(b.d);
        minimums[0] = -halfToFloat(b.m);
        nibblesAndFifth(b.qs, b.qh, 0, values);
    }
};

template <> struct Unpack<quant::Format::Q8_0> : UnpackTraits<quant::BlockQ8_0, 32, 32, false> {
    CONCLAVE_INLINE void block(const std::byte* in, int8_t* values, float* scales, float*) {
        const auto& b = load(in);
        scales[0] = halfToFloat(b.d);
        __builtin_memcpy(values, b.qs, 32);
    }
};

template <> struct Unpack<quant::Format::Q2_K> : UnpackTraits<quant::BlockQ2_K, 256, 16, true> {
    CONCLAVE_INLINE void block(const std::byte* in, int8_t* values, float* scales, float* minimums) {
        const auto& b = load(in);
        const float d = halfToFloat(b.d), dmin = halfToFloat(b.dmin);
        for (int i = 0; i < 16; ++i) {
            scales[i] = d * static_cast<float>(b.scales[i] & 15);
            minimums[i] = dmin * static_cast<float>(b.scales[i] >> 4);
        }
        for (int half = 0; half < 2; ++half)
            for (int shift = 0; shift < 4; ++shift)
                for (int l = 0; l < 32; ++l)
                    values[half * 128 + shift * 32 + l] =
                        static_cast<int8_t>(b.qs[half * 32 + l] >> (2 * shift) & 3);
    }
};

template <> struct Unpack<quant::Format::Q3_K> : UnpackTraits<quant::BlockQ3_K, 256, 16, false> {
    CONCLAVE_INLINE void block(const std::byte* in, int8_t* values, float* scales, float*) {
        const auto& b = load(in);
        const float d = halfToFloat(b.d);
        for (int i = 0; i < 16; ++i) {
            const int low = i < 8 ? b.scales[i] & 15 : b.scales[i - 8] >> 4;
            const int high = b.scales[8 + i % 4] >> (2 * (i / 4)) & 3;
            scales[i] = d * static_cast<float>((low | high << 4) - 32);
        }
        for (int half = 0; half < 2; ++half)
            for (int shift = 0; shift < 4; ++shift)
                for (int l = 0; l < 32; ++l) {
                    const int low = b.qs[half * 32 + l] >> (2 * shift) & 3;
                    const int third = (b.hmask[l] >> (half * 4 + shift) & 1) << 2;
                    values[half * 128 + shift * 32 + l] = static_cast<int8_t>(low + third - 4);
                }
    }
};

CONCLAVE_INLINE void scalesAndMinimums(const uint8_t* packed, float d, float dmin, float* scales,
                                       float* minimums) {
    for (int i = 0; i < 4; ++i) {
        scales[i] = d * static_cast<float>(packed[i] & 63);
        minimums[i] = dmin * static_cast<float>(packed[i + 4] & 63);
        scales[i + 4] = d * static_cast<float>((packed[i + 8] & 15) | packed[i] >> 6 << 4);
        minimums[i + 4] = dmin * static_cast<float>(packed[i + 8] >> 4 | packed[i + 4] >> 6 << 4);
    }
}

template <> struct Unpack<quant::Format::Q4_K> : UnpackTraits<quant::BlockQ4_K, 256, 32, true> {
    CONCLAVE_INLINE void block(const std::byte* in, int8_t* values, float* scales, float* minimums) {
        const auto& b = load(in);
        scalesAndMinimums(b.scales, halfToFloat(b.d), halfToFloat(b.dmin), scales, minimums);
        for (int pair = 0; pair < 4; ++pair)
            for (int l = 0; l < 32; ++l) {
                values[pair * 64 + l] = static_cast<int8_t>(b.qs[pair * 32 + l] & 15);
                values[pair * 64 + 32 + l] = static_cast<int8_t>(b.qs[pair * 32 + l] >> 4);
            }
    }
};

template <> struct Unpack<quant::Format::Q5_K> : UnpackTraits<quant::BlockQ5_K, 256, 32, true> {
    CONCLAVE_INLINE void block(const std::byte* in, int8_t* values, float* scales, float* minimums) {
        const auto& b = load(in);
        scalesAndMinimums(b.scales, halfToFloat(b.d), halfToFloat(b.dmin), scales, minimums);
        for (int pair = 0; pair < 4; ++pair)
            for (int l = 0; l < 32; ++l) {
                const int low = (b.qh[l] >> (2 * pair) & 1) << 4, high = (b.qh[l] >> (2 * pair + 1) & 1) << 4;
                values[pair * 64 + l] = static_cast<int8_t>((b.qs[pair * 32 + l] & 15) + low);
                values[pair * 64 + 32 + l] = static_cast<int8_t>((b.qs[pair * 32 + l] >> 4) + high);
            }
    }
};

template <> struct Unpack<quant::Format::Q6_K> : UnpackTraits<quant::BlockQ6_K, 256, 16, false> {
    CONCLAVE_INLINE void block(const std::byte* in, int8_t* values, float* scales, float*) {
        const auto& b = load(in);
        const float d = halfToFloat(b.d);
        for (int i = 0; i < 16; ++i)
            scales[i] = d * static_cast<float>(b.scales[i]);
        for (int half = 0; half < 2; ++half) {
            const uint8_t* ql = b.ql + half * 64;
            const uint8_t* qh = b.qh + half * 32;
            int8_t* out = values + half * 128;
            for (int l = 0; l < 32; ++l) {
                out[l] = static_cast<int8_t>(((ql[l] & 15) | (qh[l] & 3) << 4) - 32);
                out[l + 32] = static_cast<int8_t>(((ql[l + 32] & 15) | (qh[l] >> 2 & 3) << 4) - 32);
                out[l + 64] = static_cast<int8_t>((ql[l] >> 4 | (qh[l] >> 4 & 3) << 4) - 32);
                out[l + 96] = static_cast<int8_t>((ql[l + 32] >> 4 | (qh[l] >> 6) << 4) - 32);
            }
        }
    }
};

template <> struct Unpack<quant::Format::IQ4_NL> : UnpackTraits<quant::BlockIQ4_NL, 32, 32, false> {
    CONCLAVE_INLINE void block(const std::byte* in, int8_t* values, float* scales, float*) {
        const auto& b = load(in);
        scales[0] = halfToFloat(b.d);
        steps16(b.qs, quant::kIq4Steps, values);
    }
};

template <> struct Unpack<quant::Format::IQ4_XS> : UnpackTraits<quant::BlockIQ4_XS, 256, 32, false> {
    CONCLAVE_INLINE void block(const std::byte* in, int8_t* values, float* scales, float*) {
        const auto& b = load(in);
        const float d = halfToFloat(b.d);
        for (int i = 0; i < 8; ++i) {
            const int low = b.scalesLow[i / 2] >> (4 * (i % 2)) & 15, high = b.scalesHigh >> (2 * i) & 3;
            scales[i] = d * static_cast<float>((low | high << 4) - 32);
            steps16(b.qs + 16 * i, quant::kIq4Steps, values + 32 * i);
        }
    }
};

template <> struct Unpack<quant::Format::MXFP4> : UnpackTraits<quant::BlockMXFP4, 32, 32, false> {
    CONCLAVE_INLINE void block(const std::byte* in, int8_t* values, float* scales, float*) {
        const auto& b = load(in);
        const uint32_t e = b.e;
        scales[0] = __builtin_bit_cast(float, e < 2 ? 0x00200000u << e : (e - 1) << 23);
        steps16(b.qs, quant::kMxfp4Steps, values);
    }
};

}  // namespace conclave::engine::kernels::reference
