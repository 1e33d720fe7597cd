#include "tests/emulated/avx512/bfloat16.h"

#include <cstring>

#include "engine/kernels/cpu/bfloat16.h"

namespace {

struct Random {
    uint64_t state;
    uint32_t next() {
        state = state * 6364136223846793005 + 1442695040888963407;
        return static_cast<uint32_t>(state >> 33);
    }
    /// Of moderate size, so that no sum is subnormal.
    uint16_t bfloat16() {
        const uint32_t sign = next() & 0x8000, exponent = 120 + next() % 12, fraction = next() & 0x7f;
        return static_cast<uint16_t>(sign | exponent << 7 | fraction);
    }
};

float valueAt(const std::byte* row, size_t index) {
    uint16_t half;
    std::memcpy(&half, row + 2 * index, 2);
    const uint32_t bits = uint32_t{half} << 16;
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
}

/// "BF16 products" of numerics.md.
float product(const std::byte* w, const std::byte* x, size_t cols) {
    float sums[16] = {};
    for (size_t block = 0; block < cols; block += 32)
        for (size_t i = 0; i < 16; ++i)
            for (size_t odd = 2; odd-- > 0;) {
                const size_t k = block + 2 * i + odd;
                if (k < cols) sums[i] = __builtin_fmaf(valueAt(w, k), valueAt(x, k), sums[i]);
            }
    for (size_t half = 8; half > 0; half /= 2)
        for (size_t i = 0; i < half; ++i)
            sums[i] += sums[i + half];
    return sums[0];
}

void fill(Random& random, std::byte* from, size_t values) {
    for (size_t i = 0; i < values; ++i) {
        const uint16_t value = random.bfloat16();
        std::memcpy(from + 2 * i, &value, 2);
    }
}

}  // namespace

Bfloat16Counts checkBfloat16s(std::byte* weightsEnd, std::byte* activationsEnd, std::byte* resultsEnd,
                              size_t bytes, bool corrupt) {
    constexpr size_t kCols[] = {1, 2, 31, 32, 33, 64, 95, 333}, kWeights[] = {1, 3, 4, 16, 21}, kGap = 3;
    constexpr uint32_t kUntouched = 0x7fc0dead;
    Bfloat16Counts counts;
    Random random{1};
    for (const size_t cols : kCols)
        for (const size_t weights : kWeights)
            for (size_t rows = 1; rows <= 13; ++rows) {
                const size_t stride = weights + kGap, results = (rows - 1) * stride + weights;
                std::byte* w = weightsEnd - weights * cols * 2;
                std::byte* x = activationsEnd - rows * cols * 2;
                std::byte* y = resultsEnd - results * 4;
                if (weights * cols * 2 > bytes || results * 4 > bytes) continue;
                fill(random, w, weights * cols);
                fill(random, x, rows * cols);
                for (size_t i = 0; i < results; ++i)
                    std::memcpy(y + 4 * i, &kUntouched, 4);
                if (corrupt) w[1] ^= std::byte{0x80};
                conclave::engine::kernels::cpu::multiplyBfloat16sAvx512(
                    w, cols * 2, weights, x, cols * 2, rows, cols, reinterpret_cast<float*>(y), stride);
                if (corrupt) w[1] ^= std::byte{0x80};
                bool failed = false;
                for (size_t i = 0; i < results; ++i) {
                    const size_t row = i / stride, out = i % stride;
                    uint32_t got, expected = kUntouched;
                    std::memcpy(&got, y + 4 * i, 4);
                    if (out < weights) {
                        const float value = product(w + out * cols * 2, x + row * cols * 2, cols);
                        std::memcpy(&expected, &value, 4);
                    }
                    failed = failed || got != expected;
                }
                ++counts.cases;
                counts.floats += rows * weights;
                counts.fails += failed;
            }
    return counts;
}
