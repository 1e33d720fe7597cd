#include "engine/library/adapter_places.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>

#include "engine/library/library.h"
#include "engine/library/names.h"
#include "engine/platform/paths.h"

namespace conclave::engine::library {
namespace {

namespace fs = std::filesystem;

bool isAdapter(const fs::path& path) {
    std::error_code failed;
    if (fs::is_directory(path, failed)) return fs::is_regular_file(path / "adapter_config.json", failed);
    return path.extension() == ".gguf" && fs::is_regular_file(path, failed);
}

/// Nothing for random weights, which lie nowhere, and for no model.
std::optional<fs::path> folderBeside(const std::string& modelPath) {
    if (modelPath.empty() || isSynthetic(modelPath)) return std::nullopt;
    std::error_code failed;
    const fs::path model(modelPath);
    return (fs::is_directory(model, failed) ? model : model.parent_path()) / "adapters";
}

fs::path userFolder() {
    return fs::path(platform::userPaths().data) / "adapters";
}

void addFrom(const fs::path& folder, std::vector<InstalledAdapter>& out) {
    std::vector<fs::path> paths;
    std::error_code failed;
    for (fs::directory_iterator it(folder, fs::directory_options::skip_permission_denied, failed), end;
         !failed && it != end; it.increment(failed))
        if (isAdapter(it->path())) paths.push_back(it->path());
    std::ranges::sort(paths);  // the order of a directory is chance
    std::set<std::string> names;
    for (const InstalledAdapter& adapter : out)
        names.insert(adapter.name);
    for (const fs::path& path : paths) {
        const std::string name = nameFromPath(path.string());
        if (isModelName(name) && names.insert(name).second) out.push_back({name, path.string()});
    }
}

}  // namespace

std::vector<InstalledAdapter> adaptersBeside(const std::string& modelPath) {
    std::vector<InstalledAdapter> out;
    if (const auto folder = folderBeside(modelPath)) addFrom(*folder, out);
    return out;
}

std::vector<InstalledAdapter> installedAdapters(const std::string& modelPath) {
    std::vector<InstalledAdapter> out = adaptersBeside(modelPath);
    addFrom(userFolder(), out);
    return out;
}

std::optional<std::string> findInstalledAdapter(const std::string& modelPath, const std::string& name) {
    if (!isModelName(name)) return std::nullopt;
    std::vector<fs::path> folders{userFolder()};
    if (const auto beside = folderBeside(modelPath)) folders.insert(folders.begin(), *beside);
    for (const fs::path& folder : folders)
        for (const char* ending : {"", ".gguf"}) {
            const fs::path path = folder / (name + ending);
            if (isAdapter(path) && nameFromPath(path.string()) == name) return path.string();
        }
    return std::nullopt;
}

}  // namespace conclave::engine::library
