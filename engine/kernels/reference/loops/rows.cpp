#include "engine/kernels/exponential.h"
#include "engine/kernels/lanes.h"
#include "engine/kernels/reference/loops/parts.h"

namespace conclave::engine::kernels::reference::CONCLAVE_LOOPS {

void norm(const float* x, const float* weight, float eps, size_t cols, float* y) {
    float squares = 0;
    multiply(x, cols, 1, x, cols, 1, cols, &squares, 1);
    const float inverse = 1.0f / __builtin_sqrtf(squares / static_cast<float>(cols) + eps);
    for (size_t i = 0; i < cols; ++i)
        y[i] = (x[i] * inverse) * weight[i];
}

void rope(float* x, size_t dim, const float* cosines, const float* sines, bool interleaved) {
    const size_t step = interleaved ? 2 : 1, apart = interleaved ? 1 : dim / 2;
    for (size_t i = 0; i < dim / 2; ++i) {
        float& a = x[i * step];
        float& b = x[i * step + apart];
        const float first = __builtin_fmaf(a, cosines[i], -(b * sines[i]));
        const float second = __builtin_fmaf(b, cosines[i], a * sines[i]);
        a = first;
        b = second;
    }
}

void gateUp(const float* gate, const float* up, size_t count, float* y) {
    for (size_t i = 0; i < count; ++i)
        y[i] = silu(gate[i]) * up[i];
}

void softmax(const float* x, size_t count, float* out) {
    float most = -__builtin_inff();
    for (size_t i = 0; i < count; ++i)
        most = x[i] > most ? x[i] : most;
    for (size_t i = 0; i < count; ++i)
        out[i] = exponential(x[i] - most);
    float lanes[16] = {};
    for (size_t i = 0; i < count; ++i)
        lanes[i % 16] += out[i];
    const float sum = sumLanes(loadLanes(lanes));
    for (size_t i = 0; i < count; ++i)
        out[i] = out[i] / sum;
}

void sigmoidAll(const float* x, size_t count, float* out) {
    for (size_t i = 0; i < count; ++i)
        out[i] = sigmoid(x[i]);
}

void addLowRank(const float* t, size_t rank, const float* b, size_t bStride, size_t count, float scale,
                float* y) {
    size_t o = 0;
    const Lanes8 factor = broadcast8(scale);
    for (; o + 32 <= count; o += 32) {
        Lanes sums[2] = {};
        for (size_t k = 0; k < rank; ++k) {
            const Lanes8 value = broadcast8(t[k]);
#pragma GCC unroll 2
            for (size_t i = 0; i < 2; ++i)
                sums[i] = fmaLanes({value, value}, loadLanes(b + k * bStride + o + 16 * i), sums[i]);
        }
#pragma GCC unroll 2
        for (size_t i = 0; i < 2; ++i)
            storeLanes(y + o + 16 * i, fmaLanes({factor, factor}, sums[i], loadLanes(y + o + 16 * i)));
    }
    for (; o < count; ++o) {
        float sum = 0;
        for (size_t k = 0; k < rank; ++k)
            sum = __builtin_fmaf(t[k], b[k * bStride + o], sum);
        y[o] = __builtin_fmaf(scale, sum, y[o]);
    }
}

void addScaled(float factor, const float* x, size_t count, float* y) {
    for (size_t i = 0; i < count; ++i)
        y[i] = __builtin_fmaf(factor, x[i], y[i]);
}

}  // namespace conclave::engine::kernels::reference::CONCLAVE_LOOPS
