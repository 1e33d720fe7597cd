#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace conclave::engine::formats {

/// A name from a file as it may stand in a message or a terminal: valid UTF-8, control characters as \xNN,
/// cut with an ellipsis after `most` bytes.
std::string printable(std::string_view name, size_t most = 120);

}  // namespace conclave::engine::formats
