#pragma once

#include <string>

#include "engine/base/result.h"

namespace conclave::engine::offline {

/// Whether the file at `path` begins as GGUF files do.
bool isGguf(const std::string& path);

/// Whether a GGUF file may be written to `path`: nothing stands there, or a GGUF file, which is replaced.
/// Whoever mistypes a path loses no other file. Errors: BadArgument.
base::Result<void> checkDestination(const std::string& path);

}  // namespace conclave::engine::offline
