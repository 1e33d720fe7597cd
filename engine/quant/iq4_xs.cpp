#include "engine/quant/iq4_xs.h"

#include "engine/quant/blocks.h"
#include "engine/quant/iq4_nl.h"

namespace conclave::engine::quant {

void decodeIQ4_XS(const std::byte* in, size_t blocks, float* out) {
    for (size_t b = 0; b < blocks; ++b, out += 256) {
        const auto block = loadBlock<BlockIQ4_XS>(in, b);
        const float d = halfToFloat(block.d);
        for (size_t s = 0; s < 8; ++s) {
            const int low = block.scalesLow[s / 2] >> 4 * (s % 2) & 15;
            const int high = block.scalesHigh >> 2 * s & 3;
            const float scale = d * static_cast<float>((low | high << 4) - 32);
            for (size_t j = 0; j < 16; ++j) {
                const uint8_t q = block.qs[16 * s + j];
                out[32 * s + j] = scale * static_cast<float>(kIq4Steps[q & 15]);
                out[32 * s + j + 16] = scale * static_cast<float>(kIq4Steps[q >> 4]);
            }
        }
    }
}

}  // namespace conclave::engine::quant
