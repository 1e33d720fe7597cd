#include "engine/quant/q5_k.h"

#include "engine/quant/blocks.h"
#include "engine/quant/q4_k.h"

namespace conclave::engine::quant {

void decodeQ5_K(const std::byte* in, size_t blocks, float* out) {
    for (size_t b = 0; b < blocks; ++b, out += 256) {
        const auto block = loadBlock<BlockQ5_K>(in, b);
        const float d = halfToFloat(block.d), dmin = halfToFloat(block.dmin);
        for (size_t s = 0; s < 8; ++s) {
            const ScaleAndMin packed = unpackScaleAndMin(block.scales, s);
            const float scale = d * static_cast<float>(packed.scale);
            const float minimum = dmin * static_cast<float>(packed.min);
            for (size_t l = 0; l < 32; ++l) {
                const int low = block.qs[s / 2 * 32 + l] >> 4 * (s % 2) & 15;
                const int high = block.qh[l] >> s & 1;
                out[32 * s + l] = scale * static_cast<float>(low | high << 4) - minimum;
            }
        }
    }
}

}  // namespace conclave::engine::quant
