#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/formats/gguf.h"

namespace conclave::engine::formats {

// Numbers of GGUF metadata types, shared by reader and writer. Source: ggml's docs/gguf.md.

inline constexpr uint32_t kGgufString = 8, kGgufArray = 9, kGgufTypes = 13;
inline constexpr uint32_t kGgufDefaultAlignment = 32;

/// GGUF's number of the index-th alternative of GgufScalar and GgufArray: the array type stands between them.
constexpr uint32_t ggufTypeOf(size_t index) {
    return static_cast<uint32_t>(index < kGgufArray ? index : index + 1);
}

/// "u8", "string" …; by GGUF's number.
std::string_view ggufTypeName(uint32_t type);

/// "u8" or "array of u8".
std::string typeName(const GgufValue& value);

}  // namespace conclave::engine::formats
