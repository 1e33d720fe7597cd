#pragma once

#include <cstdint>
#include <limits>
#include <string_view>

#include "engine/protocol/fields.h"

namespace conclave::engine::protocol {

/// A count in an answer of the engine as its client reads it; 0 where there is none. What is no count is an
/// error of `fields`.
inline uint64_t count(Fields& fields, std::string_view name) {
    return static_cast<uint64_t>(fields.integer(name, 0, std::numeric_limits<int64_t>::max()).value_or(0));
}
inline uint32_t count32(Fields& fields, std::string_view name) {
    return static_cast<uint32_t>(fields.integer(name, 0, std::numeric_limits<uint32_t>::max()).value_or(0));
}

}  // namespace conclave::engine::protocol
