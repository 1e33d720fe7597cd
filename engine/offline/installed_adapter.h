#pragma once

#include <string>

#include "engine/base/result.h"

namespace conclave::engine::offline {

/// What a person typed where an adapter is wanted: with a '/' it is a path; else the name of one installed
/// for the model at `modelPath` (empty: for any, in the user's folder); else a path if something of that name
/// lies in the current folder. Errors: UnknownAdapter, with the names that are known.
base::Result<std::string> adapterPath(const std::string& argument, const std::string& modelPath);

}  // namespace conclave::engine::offline
