#include "engine/quant/q3_k.h"

#include "engine/quant/blocks.h"

namespace conclave::engine::quant {

void decodeQ3_K(const std::byte* in, size_t blocks, float* out) {
    for (size_t b = 0; b < blocks; ++b, out += 256) {
        const auto block = loadBlock<BlockQ3_K>(in, b);
        const float d = halfToFloat(block.d);
        for (size_t s = 0; s < 16; ++s) {
            const int low = s < 8 ? block.scales[s] & 15 : block.scales[s - 8] >> 4;
            const int high = block.scales[8 + s % 4] >> 2 * (s / 4) & 3;
            const float scale = d * static_cast<float>((low | high << 4) - 32);
            for (size_t i = 16 * s; i < 16 * s + 16; ++i) {
                const int q = block.qs[i / 128 * 32 + i % 32] >> 2 * (i % 128 / 32) & 3;
                const int third = block.hmask[i % 32] >> i / 32 & 1;
                out[i] = scale * static_cast<float>(q - (third ? 0 : 4));
            }
        }
    }
}

}  // namespace conclave::engine::quant
