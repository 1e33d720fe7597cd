#include "engine/library/adapter_shelf.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "engine/library/names.h"
#include "engine/platform/paths.h"

namespace conclave::engine::library {
namespace {

namespace fs = std::filesystem;
using base::Code;
using base::Error;
using base::Result;

bool isAdapter(const fs::path& path) {
    std::error_code failed;
    if (fs::is_directory(path, failed)) return fs::is_regular_file(path / "adapter_config.json", failed);
    return path.extension() == ".gguf" && fs::is_regular_file(path, failed);
}

/// Where a model's adapters may lie: in "adapters" beside or in it, and in the user's folder.
std::vector<fs::path> foldersOf(const std::string& modelPath) {
    std::vector<fs::path> out;
    if (!modelPath.empty() && !isSynthetic(modelPath)) {
        std::error_code failed;
        const fs::path model(modelPath);
        out.push_back((fs::is_directory(model, failed) ? model : model.parent_path()) / "adapters");
    }
    out.push_back(fs::path(platform::userPaths().data) / "adapters");
    return out;
}

}  // namespace

std::vector<AdapterShelf::Installed> AdapterShelf::installedFor(const LoadedModel& base) {
    return installedFor(base.path);
}

std::vector<AdapterShelf::Installed> AdapterShelf::installedFor(const std::string& modelPath) {
    std::vector<Installed> out;
    for (const fs::path& folder : foldersOf(modelPath)) {
        std::vector<fs::path> paths;
        std::error_code failed;
        for (fs::directory_iterator it(folder, fs::directory_options::skip_permission_denied, failed), end;
             !failed && it != end; it.increment(failed))
            if (isAdapter(it->path())) paths.push_back(it->path());
        std::ranges::sort(paths);  // the order of a directory is chance
        for (const fs::path& path : paths) {
            const std::string name = nameFromPath(path.string());
            if (isModelName(name) && std::ranges::find(out, name, &Installed::name) == out.end())
                out.push_back({name, path.string()});
        }
    }
    return out;
}

std::vector<ShelvedAdapter> AdapterShelf::list() const {
    const std::lock_guard lock(mutex_);
    return adapters_;
}

std::optional<ShelvedAdapter> AdapterShelf::loaded(const std::string& name, const LoadedModel& base) const {
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find_if(adapters_, [&](const ShelvedAdapter& entry) {
        return entry.adapter->name == name && entry.adapter->base == base.model;
    });
    return found == adapters_.end() ? std::nullopt : std::optional(*found);
}

Result<ShelvedAdapter> AdapterShelf::byId(uint32_t id) const {
    std::string known;
    for (const ShelvedAdapter& entry : list()) {
        if (entry.id == id) return entry;
        known += (known.empty() ? "" : ", ") + std::to_string(entry.id) + " (" + entry.adapter->name + ")";
    }
    return Error{Code::UnknownAdapter, {}, {}, {std::to_string(id), known.empty() ? "none" : known}};
}

Result<ShelvedAdapter> AdapterShelf::byName(const std::string& name) const {
    std::string known;
    for (const ShelvedAdapter& entry : list()) {
        if (entry.adapter->name == name) return entry;
        known += (known.empty() ? "" : ", ") + entry.adapter->name;
    }
    return Error{Code::UnknownAdapter, {}, {}, {name, known.empty() ? "none is loaded" : known}};
}

Error AdapterShelf::unknown(const std::string& name, const LoadedModel& base) const {
    std::vector<std::string> names;
    for (const ShelvedAdapter& entry : list())
        if (entry.adapter->base == base.model) names.push_back(entry.adapter->name);
    for (const Installed& entry : installedFor(base))
        if (std::ranges::find(names, entry.name) == names.end()) names.push_back(entry.name);
    std::string known;
    for (const std::string& one : names)
        known += (known.empty() ? "" : ", ") + one;
    return {Code::UnknownAdapter, {}, {}, {name, known.empty() ? "none" : known}};
}

Result<ShelvedAdapter> AdapterShelf::get(const std::string& name, const LoadedModel& base,
                                         const Library::Progress& progress) {
    if (auto found = loaded(name, base)) return *std::move(found);
    for (const Installed& entry : installedFor(base))
        if (entry.name == name) return load(entry.path, name, base, progress);
    return unknown(name, base);
}

Result<ShelvedAdapter> AdapterShelf::load(const std::string& path, const std::string& name,
                                          const LoadedModel& base, const Library::Progress& progress) {
    const std::lock_guard alone(loading_);
    const std::string wanted = name.empty() ? nameFromPath(path) : name;
    for (const ModelEntry& model : library_.list())
        if (model.name == wanted) return Error{Code::ModelNameTaken, {}, {}, {wanted}};
    CONCLAVE_TRY(auto adapter, loadAdapter(path, wanted, base, progress));
    if (const auto there = loaded(adapter->name, base)) {
        if (there->adapter->contentId == adapter->contentId) return *there;
        return Error{Code::ModelNameTaken, {}, {}, {adapter->name}};
    }
    const std::lock_guard lock(mutex_);
    adapters_.push_back({nextId_++, base.name, std::move(adapter)});
    return adapters_.back();
}

Result<void> AdapterShelf::unload(const std::string& name) {
    ShelvedAdapter last;  // its memory goes after the mutex
    std::string known;
    const std::lock_guard lock(mutex_);
    for (auto entry = adapters_.begin(); entry != adapters_.end(); ++entry) {
        if (entry->adapter->name == name || entry->model + ":" + entry->adapter->name == name) {
            last = std::move(*entry);
            adapters_.erase(entry);
            return {};
        }
        known += (known.empty() ? "" : ", ") + entry->adapter->name;
    }
    return Error{Code::UnknownAdapter, {}, {}, {name, known.empty() ? "none" : known}};
}

}  // namespace conclave::engine::library
