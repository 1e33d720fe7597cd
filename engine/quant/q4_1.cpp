#include "engine/quant/q4_1.h"

#include "engine/quant/blocks.h"

namespace conclave::engine::quant {

void decodeQ4_1(const std::byte* in, size_t blocks, float* out) {
    for (size_t b = 0; b < blocks; ++b, out += 32) {
        const auto block = loadBlock<BlockQ4_1>(in, b);
        const float d = halfToFloat(block.d), m = halfToFloat(block.m);
        for (size_t j = 0; j < 16; ++j) {
            out[j] = d * static_cast<float>(block.qs[j] & 15) + m;
            out[j + 16] = d * static_cast<float>(block.qs[j] >> 4) + m;
        }
    }
}

}  // namespace conclave::engine::quant
