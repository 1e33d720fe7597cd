#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/kernels/inline.h"

/// Sixteen lanes of float32 in plain GNU C++, for files that are compiled for one instruction set each: the
/// compiler makes four, two or one registers of them.
namespace conclave::engine::kernels {

using Lanes8 = float __attribute__((vector_size(32)));

/// Element k of a reduction is in lane k mod 16: lanes 0–7 low, 8–15 high.
struct Lanes {
    Lanes8 low, high;
};

CONCLAVE_INLINE Lanes8 load8(const float* from) {
    Lanes8 value;
    __builtin_memcpy(&value, from, sizeof value);
    return value;
}
CONCLAVE_INLINE void store8(float* to, Lanes8 value) {
    __builtin_memcpy(to, &value, sizeof value);
}

/// x * y + z, rounded once. Where the processor has no such instruction the C library computes the same,
/// slowly.
CONCLAVE_INLINE Lanes8 fma8(Lanes8 x, Lanes8 y, Lanes8 z) {
    return Lanes8{__builtin_fmaf(x[0], y[0], z[0]), __builtin_fmaf(x[1], y[1], z[1]),
                  __builtin_fmaf(x[2], y[2], z[2]), __builtin_fmaf(x[3], y[3], z[3]),
                  __builtin_fmaf(x[4], y[4], z[4]), __builtin_fmaf(x[5], y[5], z[5]),
                  __builtin_fmaf(x[6], y[6], z[6]), __builtin_fmaf(x[7], y[7], z[7])};
}
/// The value itself. Keeps it in a register: else the compiler loads it again for every use, and as many
/// loads as multiplications are more than a core does.
CONCLAVE_INLINE Lanes8 held8(Lanes8 value) {
#if defined(__AVX__)
    __asm__("" : "+x"(value));
#endif
    return value;
}
/// Eight times x. Held, else the compiler loads eight floats and spreads the first on the ports that
/// multiply.
CONCLAVE_INLINE Lanes8 broadcast8(float x) {
    return held8(Lanes8{x, x, x, x, x, x, x, x});
}

CONCLAVE_INLINE Lanes loadLanes(const float* from) {
    return {load8(from), load8(from + 8)};
}
CONCLAVE_INLINE void storeLanes(float* to, Lanes value) {
    store8(to, value.low);
    store8(to + 8, value.high);
}
CONCLAVE_INLINE Lanes fmaLanes(Lanes x, Lanes y, Lanes z) {
    return {fma8(x.low, y.low, z.low), fma8(x.high, y.high, z.high)};
}

/// The one tree: lane i takes lane i + 8, then i + 4, then i + 2, then i + 1.
CONCLAVE_INLINE float sumLanes(Lanes lanes) {
    const Lanes8 eight = lanes.low + lanes.high;
    const float zero = eight[0] + eight[4], one = eight[1] + eight[5];
    const float two = eight[2] + eight[6], three = eight[3] + eight[7];
    return (zero + two) + (one + three);
}

}  // namespace conclave::engine::kernels
