#pragma once

#include <span>
#include <string>

#include "engine/base/result.h"
#include "engine/formats/tensor_directory.h"

namespace conclave::engine::formats {

/// Reads the header of one .safetensors file and adds its tensors to `into`. Source: the safetensors format
/// description (8-byte little-endian header length, JSON, tensors that fill the rest without holes or
/// overlaps). Limits: header 100,000,000 bytes, JSON depth 8, no duplicate keys. dtypes F32 F16 BF16 F8_E4M3
/// I32 I64 U8.
base::Result<void> readSafetensors(const std::string& path, TensorDirectory& into);

/// The same from memory, for tests and fuzzing; the bytes must outlive `into`.
base::Result<void> parseSafetensors(std::span<const std::byte> bytes, const std::string& name,
                                    TensorDirectory& into);

}  // namespace conclave::engine::formats
