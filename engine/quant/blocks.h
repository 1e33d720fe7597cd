#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "engine/quant/format.h"

namespace conclave::engine::quant {

// For the files of this room. Blocks are copied out and in, so that the bytes may stand at any address.

template <class Block> Block loadBlock(const std::byte* in, size_t index) {
    Block block;
    std::memcpy(&block, in + index * sizeof(Block), sizeof(Block));
    return block;
}

template <class Block> void storeBlock(std::byte* out, size_t index, const Block& block) {
    std::memcpy(out + index * sizeof(Block), &block, sizeof(Block));
}

/// The scale of a block that holds a value which is not finite.
inline constexpr uint16_t kHalfNan = 0x7e00;

}  // namespace conclave::engine::quant
