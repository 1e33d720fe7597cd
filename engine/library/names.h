#pragma once

#include <string>
#include <vector>

#include "engine/library/library.h"

namespace conclave::engine::library {

/// Whether `name` can name a model: not empty, not hidden, no path, no control characters.
bool isModelName(const std::string& name);

/// The name of the model at `path`: the folder's, or the file's without ".gguf" and without
/// "-00001-of-00003"; "synth:…" is its own name.
std::string nameFromPath(const std::string& path);

/// The models in these folders by name: folders with a config.json, and .gguf files (of a split one the first
/// part). Of two with one name the first in order counts and carries a warning. A folder that is not there
/// holds none; a name that begins with "synth:" is left out, since it means random weights everywhere.
std::vector<ModelEntry> findInstalled(const std::vector<std::string>& folders);

/// Bytes of the files of the model at `path`; 0 where it is not there any more and for "synth:…".
uint64_t bytesOnDisk(const std::string& path);

}  // namespace conclave::engine::library
