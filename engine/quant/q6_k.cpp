#include "engine/quant/q6_k.h"

#include "engine/quant/blocks.h"

namespace conclave::engine::quant {

void decodeQ6_K(const std::byte* in, size_t blocks, float* out) {
    for (size_t b = 0; b < blocks; ++b, out += 256) {
        const auto block = loadBlock<BlockQ6_K>(in, b);
        const float d = halfToFloat(block.d);
        for (size_t i = 0; i < 256; ++i) {
            const size_t half = i / 128, r = i % 128;
            const int low = block.ql[half * 64 + r % 64] >> 4 * (r / 64) & 15;
            const int high = block.qh[half * 32 + r % 32] >> 2 * (r / 32) & 3;
            const float scale = d * static_cast<float>(block.scales[i / 16]);
            out[i] = scale * static_cast<float>((low | high << 4) - 32);
        }
    }
}

}  // namespace conclave::engine::quant
