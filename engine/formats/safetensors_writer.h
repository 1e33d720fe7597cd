#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/quant/format.h"

namespace conclave::engine::formats {

/// A tensor of a safetensors file that is written: F32, F16 or BF16.
struct SafetensorsWriteTensor {
    std::string name;
    quant::Format format;
    std::vector<uint64_t> shape;  ///< outermost first
    /// Gives the tensor's bytes, whole; called once, in order.
    std::function<base::Result<std::vector<std::byte>>()> bytes;
};

/// Writes to a temporary file beside `path` and renames it when whole. Tensors stand in the order given,
/// their data aligned to 8 bytes. Errors: FileWriteFailed and what the tensors say. Source: the safetensors
/// format description.
base::Result<void> writeSafetensors(const std::string& path,
                                    const std::vector<SafetensorsWriteTensor>& tensors);

}  // namespace conclave::engine::formats
