#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace conclave::engine::formats {

// Shared by the readers of JSON in this room.

/// The parser's complaint without its internal numbering, as an InvalidJson.
base::Error jsonError(const std::string& file, const nlohmann::detail::exception& error);

/// Errors: InvalidUtf8 with the byte, InvalidJson for a byte order mark.
base::Result<void> checkJsonText(std::string_view text, const std::string& file);

}  // namespace conclave::engine::formats
