#include "engine/quant/q5_1.h"

#include "engine/quant/blocks.h"

namespace conclave::engine::quant {

void decodeQ5_1(const std::byte* in, size_t blocks, float* out) {
    for (size_t b = 0; b < blocks; ++b, out += 32) {
        const auto block = loadBlock<BlockQ5_1>(in, b);
        const float d = halfToFloat(block.d), m = halfToFloat(block.m);
        for (size_t j = 0; j < 32; ++j) {
            const int low = j < 16 ? block.qs[j] & 15 : block.qs[j - 16] >> 4;
            const int high = block.qh[j / 8] >> j % 8 & 1;
            out[j] = d * static_cast<float>(low | high << 4) + m;
        }
    }
}

}  // namespace conclave::engine::quant
