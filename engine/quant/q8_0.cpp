#include "engine/quant/q8_0.h"

#include "engine/quant/blocks.h"

#include <algorithm>
#include <cmath>

namespace conclave::engine::quant {

void decodeQ8_0(const std::byte* in, size_t blocks, float* out) {
    for (size_t b = 0; b < blocks; ++b, out += 32) {
        const auto block = loadBlock<BlockQ8_0>(in, b);
        const float d = halfToFloat(block.d);
        for (size_t j = 0; j < 32; ++j)
            out[j] = d * static_cast<float>(block.qs[j]);
    }
}

void encodeQ8_0(const float* in, size_t blocks, std::byte* out) {
    for (size_t b = 0; b < blocks; ++b, in += 32) {
        BlockQ8_0 block{};
        float most = 0;
        bool finite = true;
        for (size_t j = 0; j < 32; ++j) {
            finite = finite && std::isfinite(in[j]);
            most = std::max(most, std::fabs(in[j]));
        }
        const float d = most / 127.0f;
        const float inverse = d != 0 ? 1.0f / d : 0.0f;
        block.d = finite ? floatToHalf(d) : kHalfNan;
        if (finite && std::isfinite(inverse))
            for (size_t j = 0; j < 32; ++j)
                block.qs[j] = static_cast<int8_t>(std::round(in[j] * inverse));
        storeBlock(out, b, block);
    }
}

}  // namespace conclave::engine::quant
