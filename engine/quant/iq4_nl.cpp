#include "engine/quant/iq4_nl.h"

#include "engine/quant/blocks.h"

namespace conclave::engine::quant {

void decodeIQ4_NL(const std::byte* in, size_t blocks, float* out) {
    for (size_t b = 0; b < blocks; ++b, out += 32) {
        const auto block = loadBlock<BlockIQ4_NL>(in, b);
        const float d = halfToFloat(block.d);
        for (size_t j = 0; j < 16; ++j) {
            out[j] = d * static_cast<float>(kIq4Steps[block.qs[j] & 15]);
            out[j + 16] = d * static_cast<float>(kIq4Steps[block.qs[j] >> 4]);
        }
    }
}

}  // namespace conclave::engine::quant
