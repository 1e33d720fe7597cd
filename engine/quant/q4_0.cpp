#include "engine/quant/q4_0.h"

#include "engine/quant/blocks.h"

#include <algorithm>
#include <cmath>

namespace conclave::engine::quant {

void decodeQ4_0(const std::byte* in, size_t blocks, float* out) {
    for (size_t b = 0; b < blocks; ++b, out += 32) {
        const auto block = loadBlock<BlockQ4_0>(in, b);
        const float d = halfToFloat(block.d);
        for (size_t j = 0; j < 16; ++j) {
            out[j] = d * static_cast<float>((block.qs[j] & 15) - 8);
            out[j + 16] = d * static_cast<float>((block.qs[j] >> 4) - 8);
        }
    }
}

void encodeQ4_0(const float* in, size_t blocks, std::byte* out) {
    for (size_t b = 0; b < blocks; ++b, in += 32) {
        BlockQ4_0 block{};
        float most = 0, signedMost = 0;
        bool finite = true;
        for (size_t j = 0; j < 32; ++j) {
            finite = finite && std::isfinite(in[j]);
            if (most < std::fabs(in[j])) {
                most = std::fabs(in[j]);
                signedMost = in[j];
            }
        }
        const float d = signedMost / -8.0f;
        const float inverse = d != 0 ? 1.0f / d : 0.0f;
        block.d = finite ? floatToHalf(d) : kHalfNan;
        if (finite && std::isfinite(inverse)) {
            const auto number = [&](float x) {
                return static_cast<uint8_t>(std::min(15, static_cast<int>(x * inverse + 8.5f)));
            };
            for (size_t j = 0; j < 16; ++j)
                block.qs[j] = static_cast<uint8_t>(number(in[j]) | number(in[j + 16]) << 4);
        }
        storeBlock(out, b, block);
    }
}

}  // namespace conclave::engine::quant
