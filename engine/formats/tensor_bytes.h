#pragma once

#include <cstdint>
#include <span>

#include "engine/quant/format.h"

namespace conclave::engine::formats {

/// Bytes of a tensor's data; its shape is not empty, and the format's blocks divide its rows.
inline uint64_t tensorBytes(quant::Format format, std::span<const uint64_t> shape) {
    uint64_t bytes = quant::rowBytes(format, shape.back());
    for (const uint64_t extent : shape.first(shape.size() - 1))
        bytes *= extent;
    return bytes;
}

}  // namespace conclave::engine::formats
