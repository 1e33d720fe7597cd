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

void addScaled(float factor, const float* x, size_t count, float* y) {
    for (size_t i = 0; i < count; ++i)
        y[i] = __builtin_fmaf(factor, x[i], y[i]);
}

}  // namespace conclave::engine::kernels::reference::CONCLAVE_LOOPS
