#include "engine/quant/mxfp4.h"

#include "engine/quant/blocks.h"

#include <bit>

namespace conclave::engine::quant {

float e8m0Half(uint8_t e) {
    const uint32_t bits = e < 2 ? 0x00200000u << e : static_cast<uint32_t>(e - 1) << 23;
    return std::bit_cast<float>(bits);
}

void decodeMXFP4(const std::byte* in, size_t blocks, float* out) {
    for (size_t b = 0; b < blocks; ++b, out += 32) {
        const auto block = loadBlock<BlockMXFP4>(in, b);
        const float scale = e8m0Half(block.e);
        for (size_t j = 0; j < 16; ++j) {
            out[j] = scale * static_cast<float>(kMxfp4Steps[block.qs[j] & 15]);
            out[j + 16] = scale * static_cast<float>(kMxfp4Steps[block.qs[j] >> 4]);
        }
    }
}

}  // namespace conclave::engine::quant
