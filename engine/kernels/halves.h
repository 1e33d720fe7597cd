#pragma once

#include "engine/kernels/lanes.h"

/// Floats of sixteen bits as float32, in plain GNU C++: for files that are compiled for one instruction set
/// each (lanes.h).
namespace conclave::engine::kernels {

/// One IEEE half in memory, at any address.
struct [[gnu::packed]] Half {
    uint16_t bits;
};
struct [[gnu::packed]] Bfloat16 {
    uint16_t bits;
};

CONCLAVE_INLINE float halfToFloat(uint16_t bits) {
    // The exponent moves to float's place and is then 112 too small; the product puts it right, subnormals
    // included.
    const uint32_t magnitude = (bits & 0x7fffu) << 13;
    const uint32_t scaled = __builtin_bit_cast(uint32_t, __builtin_bit_cast(float, magnitude) * 0x1p112f);
    const uint32_t finite = magnitude < 0x0f800000u ? scaled : magnitude | 0x7f800000u;
    return __builtin_bit_cast(float, finite | (bits & 0x8000u) << 16);
}

CONCLAVE_INLINE float widen(float value) {
    return value;
}
CONCLAVE_INLINE float widen(Half value) {
    return halfToFloat(value.bits);
}

CONCLAVE_INLINE float widen(Bfloat16 value) {
    return __builtin_bit_cast(float, static_cast<uint32_t>(value.bits) << 16);
}

CONCLAVE_INLINE Lanes8 load8(const Half* from) {
#if defined(__F16C__)
    using Halves8 = short __attribute__((vector_size(16)));
    Halves8 halves;
    __builtin_memcpy(&halves, from, sizeof halves);
    return __builtin_ia32_vcvtph2ps256(halves);
#else
    return Lanes8{widen(from[0]), widen(from[1]), widen(from[2]), widen(from[3]),
                  widen(from[4]), widen(from[5]), widen(from[6]), widen(from[7])};
#endif
}
CONCLAVE_INLINE Lanes8 load8(const Bfloat16* from) {
    using Eight16 = uint16_t __attribute__((vector_size(16)));
    using Eight32 = uint32_t __attribute__((vector_size(32)));
    Eight16 bits;
    __builtin_memcpy(&bits, from, sizeof bits);
    return Lanes8(__builtin_convertvector(bits, Eight32) << 16);
}
CONCLAVE_INLINE Lanes loadLanes(const Half* from) {
    return {load8(from), load8(from + 8)};
}

}  // namespace conclave::engine::kernels
