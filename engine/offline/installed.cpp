#include "engine/offline/installed.h"

#include <algorithm>
#include <filesystem>

#include "engine/library/library.h"
#include "engine/platform/file.h"
#include "engine/synth/spec.h"

namespace conclave::engine::offline {
namespace {

std::string absolute(const std::string& path) {
    std::error_code failed;
    const auto full = std::filesystem::absolute(path, failed);
    return failed ? path : full.lexically_normal().string();
}

}  // namespace

std::vector<InstalledModel> installedModels(const ModelFolders& folders) {
    library::Library::Options options;
    options.folders = folders;
    const library::Library library(std::move(options));
    std::vector<InstalledModel> out;
    for (library::ModelEntry& entry : library.list())
        out.push_back({std::move(entry.name), std::move(entry.path), entry.bytes});
    return out;
}

base::Result<ModelReference> modelReference(const std::string& argument, const ModelFolders& folders) {
    if (synth::isSpec(argument)) return ModelReference{"", argument};
    if (argument.find('/') != std::string::npos) return ModelReference{"", absolute(argument)};
    std::string known;
    for (const InstalledModel& model : installedModels(folders)) {
        if (model.name == argument) return ModelReference{model.name, model.path};
        known += (known.empty() ? "" : ", ") + model.name;
    }
    if (!argument.empty() && platform::pathKind(argument) != platform::PathKind::Missing)
        return ModelReference{"", absolute(argument)};
    return base::Error{base::Code::UnknownModel, "", "", {argument, known + ", or give a path"}};
}

base::Result<std::string> modelPath(const std::string& argument, const ModelFolders& folders) {
    CONCLAVE_TRY(const ModelReference reference, modelReference(argument, folders));
    return reference.path;
}

}  // namespace conclave::engine::offline
