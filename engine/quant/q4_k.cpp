#include "engine/quant/q4_k.h"

#include "engine/quant/blocks.h"

namespace conclave::engine::quant {

ScaleAndMin unpackScaleAndMin(const uint8_t packed[12], size_t i) {
    if (i < 4) return {static_cast<uint8_t>(packed[i] & 63), static_cast<uint8_t>(packed[i + 4] & 63)};
    return {static_cast<uint8_t>((packed[i + 4] & 15) | packed[i - 4] >> 6 << 4),
            static_cast<uint8_t>(packed[i + 4] >> 4 | packed[i] >> 6 << 4)};
}

void decodeQ4_K(const std::byte* in, size_t blocks, float* out) {
    for (size_t b = 0; b < blocks; ++b, out += 256) {
        const auto block = loadBlock<BlockQ4_K>(in, b);
        const float d = halfToFloat(block.d), dmin = halfToFloat(block.dmin);
        for (size_t s = 0; s < 8; ++s) {
            const ScaleAndMin packed = unpackScaleAndMin(block.scales, s);
            const float scale = d * static_cast<float>(packed.scale);
            const float minimum = dmin * static_cast<float>(packed.min);
            for (size_t l = 0; l < 32; ++l) {
                const int q = block.qs[s / 2 * 32 + l] >> 4 * (s % 2) & 15;
                out[32 * s + l] = scale * static_cast<float>(q) - minimum;
            }
        }
    }
}

}  // namespace conclave::engine::quant
