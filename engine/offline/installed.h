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

/// Folders of models, searched in order (platform::modelFolders).
using ModelFolders = std::vector<std::string>;

/// The models in them, by name; the first folder that has a name wins.
std::vector<InstalledModel> installedModels(const ModelFolders& folders);

/// What a person typed where a model is wanted. "synth:…" is itself; with a '/' it is a path; else the name
/// of an installed model; else a path if something of that name lies in the current folder. Errors:
/// UnknownModel, with the names that are known.
base::Result<std::string> modelPath(const std::string& argument, const ModelFolders& folders);

/// The same, for a running engine: an installed name stays a name, a path of a file becomes absolute.
struct ModelReference {
    std::string name;  ///< empty where it is a path
    std::string path;
};
base::Result<ModelReference> modelReference(const std::string& argument, const ModelFolders& folders);

}  // namespace conclave::engine::offline
