#include "engine/quant/q2_k.h"

#include "engine/quant/blocks.h"

namespace conclave::engine::quant {

void decodeQ2_K(const std::byte* in, size_t blocks, float* out) {
    for (size_t b = 0; b < blocks; ++b, out += 256) {
        const auto block = loadBlock<BlockQ2_K>(in, b);
        const float d = halfToFloat(block.d), dmin = halfToFloat(block.dmin);
        for (size_t i = 0; i < 256; ++i) {
            const uint8_t scales = block.scales[i / 16];
            const int q = block.qs[i / 128 * 32 + i % 32] >> 2 * (i % 128 / 32) & 3;
            const float scale = d * static_cast<float>(scales & 15);
            const float minimum = dmin * static_cast<float>(scales >> 4);
            out[i] = scale * static_cast<float>(q) - minimum;
        }
    }
}

}  // namespace conclave::engine::quant
