#include "engine/kernels/lanes.h"
#include "engine/kernels/reference/loops/parts.h"

namespace conclave::engine::kernels::reference::CONCLAVE_LOOPS {
namespace {

CONCLAVE_INLINE float dot(const int8_t* w, const int8_t* x, int count) {
    int32_t sum = 0;
#pragma GCC unroll 1
    for (int i = 0; i < count; ++i)
        sum += static_cast<int32_t>(w[i]) * static_cast<int32_t>(x[i]);
    return static_cast<float>(sum);  // at most 32 * 128 * 127: exact
}

template <int run, bool minimums> float product(UnpackedRow w, Int8Row x, size_t cols) {
    float sum = 0;
    for (size_t block = 0; block < cols / 32; ++block) {
        const int8_t* weights = w.values + 32 * block;
        const int8_t* values = x.values + 32 * block;
        if constexpr (run == 32) {
            sum = __builtin_fmaf(dot(weights, values, 32), w.scales[block] * x.scales[block], sum);
            if constexpr (minimums) sum = __builtin_fmaf(-w.minimums[block], x.sums[block], sum);
        } else {
            const float* scales = w.scales + 2 * block;
            const float first = dot(weights, values, 16) * scales[0];
            const float both = __builtin_fmaf(dot(weights + 16, values + 16, 16), scales[1], first);
            sum = __builtin_fmaf(both, x.scales[block], sum);
            if constexpr (minimums) {
                const float* least = w.minimums + 2 * block;
                const float* sums = x.halfSums + 2 * block;
                const float joined = __builtin_fmaf(sums[1], least[1], sums[0] * least[0]);
                sum = __builtin_fmaf(-joined, x.scales[block], sum);
            }
        }
    }
    return sum;
}

using Integers8 = int32_t __attribute__((vector_size(32)));
using Bytes32 = int8_t __attribute__((vector_size(32)));
using Bytes16 = int8_t __attribute__((vector_size(16)));

/// x * inverse, to the nearest integer, ties to even. No product is beyond 127.
CONCLAVE_INLINE Integers8 roundEight(const float* x, Lanes8 inverse) {
    constexpr float kShift = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
    constexpr int32_t kShiftBits = 0x4b400000;
    return __builtin_bit_cast(Integers8, load8(x) * inverse + kShift) - kShiftBits;
}

/// Sixteen of them as bytes; gives their sum.
CONCLAVE_INLINE int32_t roundSixteen(const float* x, float inverse, int8_t* values) {
    const Lanes8 factor = broadcast8(inverse);
    const Integers8 first = roundEight(x, factor), second = roundEight(x + 8, factor);
    const Bytes16 bytes =
        __builtin_shufflevector(__builtin_bit_cast(Bytes32, first), __builtin_bit_cast(Bytes32, second), 0, 4,
                                8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60);
    __builtin_memcpy(values, &bytes, sizeof bytes);
    const Integers8 both = first + second;
    return ((both[0] + both[4]) + (both[1] + both[5])) + ((both[2] + both[6]) + (both[3] + both[7]));
}

}  // namespace

float multiplyInt8(UnpackedShape shape, UnpackedRow w, Int8Row x, size_t cols) {
    if (shape.run == 32)
        return shape.minimums ? product<32, true>(w, x, cols) : product<32, false>(w, x, cols);
    return shape.minimums ? product<16, true>(w, x, cols) : product<16, false>(w, x, cols);
}

void quantise(const float* x, size_t cols, Int8Row out, float* rest) {
    constexpr uint32_t kInfinity = 0x7f800000u;
    for (size_t block = 0; block < cols / 32; ++block, x += 32) {
        uint32_t largest = 0;  // the bits of |x| order like |x|, infinities and NaN above all
        for (int i = 0; i < 32; ++i) {
            const uint32_t bits = __builtin_bit_cast(uint32_t, x[i]) & 0x7fffffffu;
            largest = bits > largest ? bits : largest;
        }
        const float most = __builtin_bit_cast(float, largest);
        const float inverse = 127.0f / most;
        const bool usable = largest < kInfinity && inverse < __builtin_inff();
        int8_t* values = out.values + 32 * block;
        int32_t sums[2] = {0, 0};
        if (usable) {
            sums[0] = roundSixteen(x, inverse, values);
            sums[1] = roundSixteen(x + 16, inverse, values + 16);
        } else {
            __builtin_memset(values, 0, 32);
        }
        const float scale = usable ? most / 127.0f : largest < kInfinity ? 0.0f : __builtin_nanf("");
        out.scales[block] = scale;
        out.halfSums[2 * block] = static_cast<float>(sums[0]);
        out.halfSums[2 * block + 1] = static_cast<float>(sums[1]);
        out.sums[block] = scale * static_cast<float>(sums[0] + sums[1]);
        if (rest != nullptr)
            for (size_t i = 0; i < 32; ++i)
                rest[32 * block + i] = __builtin_fmaf(-scale, static_cast<float>(values[i]), x[i]);
    }
}

}  // namespace conclave::engine::kernels::reference::CONCLAVE_LOOPS
