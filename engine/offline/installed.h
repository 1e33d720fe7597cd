#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace conclave::engine::offline {

struct InstalledModel {
    std::string name;
    std::string path;
    uint64_t bytes = 0;
};

/// The models in the folders of platform::modelFolders(), by name; the first folder that has a name wins.
std::vector<InstalledModel> installedModels();

/// What a person typed where a model is wanted. "synth:…" is itself; with a '/' it is a path; else the name
/// of an installed model; else a path if something of that name lies in the current folder. Errors:
/// UnknownModel, with the names that are known.
base::Result<std::string> modelPath(const std::string& argument);

/// The same, for a running engine: an installed name stays a name, a path of a file becomes absolute.
struct ModelReference {
    std::string name;  ///< empty where it is a path
    std::string path;
};
base::Result<ModelReference> modelReference(const std::string& argument);

}  // namespace conclave::engine::offline
