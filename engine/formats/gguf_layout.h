#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/formats/gguf.h"

namespace conclave::engine::formats {

/// Where everything of a GGUF version 3 file stands. Source: ggml's docs/gguf.md.
struct GgufLayout {
    std::vector<std::byte> header;  ///< what stands before the tensors' data, padded
    std::vector<uint64_t> starts;   ///< of each tensor in the file
    std::vector<uint64_t> sizes;    ///< of each tensor, without the zeros that pad it
    uint64_t bytes = 0;             ///< of the whole file
};

/// The layout of a file with these keys and tensors, in this order. Names appear once, shapes are not empty,
/// formats have a number in GGUF and blocks that divide the rows: our own bugs otherwise. Thread-safe.
GgufLayout layOutGguf(const GgufMetadata& metadata, std::span<const GgufWriteTensor> tensors);

}  // namespace conclave::engine::formats
