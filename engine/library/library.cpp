#include "engine/library/library.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include "engine/library/content_id.h"
#include "engine/library/names.h"
#include "engine/library/parts.h"
#include "engine/platform/paths.h"
#include "engine/synth/spec.h"

namespace conclave::engine::library {
namespace {

using base::Code;
using base::Error;
using base::Result;
using ModelPointer = std::shared_ptr<const LoadedModel>;

/// Links resolved, so that one model has one path; as it stands where there is nothing (opening it says so).
std::string canonical(const std::string& path) {
    std::error_code failed;
    const auto out = std::filesystem::canonical(path, failed);
    return failed ? path : out.string();
}

/// What a model is known by: the path without links, or the whole text of a specification.
Result<std::string> placeOf(const std::string& path) {
    if (!synth::isSpec(path)) return canonical(path);
    CONCLAVE_TRY(const synth::Spec spec, synth::readSpec(path));
    return synth::toText(spec);
}

std::string hashPart(const LoadedModel& model) {
    return model.contentId.substr(model.contentId.rfind('@') + 1);
}

}  // namespace

Library::Library(Options options) : options_(std::move(options)) {}

std::vector<ModelPointer> Library::snapshot() const {
    const std::lock_guard lock(mutex_);
    return loaded_;
}

std::vector<ModelEntry> Library::installed() const {
    return findInstalled(options_.folders);
}

std::vector<ModelEntry> Library::list() const {
    std::vector<ModelEntry> out;
    std::set<std::string> names;
    for (const ModelPointer& model : snapshot()) {
        const uint64_t bytes =
            isSynthetic(model->path) ? model->model->footprint.weightBytes : bytesOnDisk(model->path);
        out.push_back({model->name, model->path, true, model->loadedAtUnix, bytes, model->warnings});
        names.insert(model->name);
    }
    std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    for (ModelEntry& entry : installed())
        if (!names.contains(entry.name)) out.push_back(std::move(entry));
    return out;
}

std::string Library::knownNames() const {
    std::string names;
    for (const ModelEntry& entry : list())
        names += (names.empty() ? "" : ", ") + entry.name;
    return names.empty() ? "none" : names;
}

ModelPointer Library::loaded(const std::string& name) const {
    const std::lock_guard lock(mutex_);
    const auto found =
        std::find_if(loaded_.begin(), loaded_.end(), [&](const auto& model) { return model->name == name; });
    return found == loaded_.end() ? nullptr : *found;
}

Result<std::string> Library::pathOf(const std::string& name) const {
    if (isModelName(name))
        for (const ModelEntry& entry : installed())
            if (entry.name == name) return entry.path;
    return Error{Code::UnknownModel, {}, {}, {name, knownNames()}};
}

Result<ModelPointer> Library::get(const std::string& name) {
    if (name.empty()) {
        if (!options_.defaultModel.empty()) return get(options_.defaultModel);
        const std::vector<ModelPointer> models = snapshot();
        if (models.size() == 1) return models.front();
        return Error{Code::NoModelChosen, {}, {}, {knownNames()}};
    }
    if (ModelPointer model = loaded(name)) return model;
    CONCLAVE_TRY(const std::string path, pathOf(name));
    return load(path, name, {});
}

Result<ModelPointer> Library::load(const std::string& path, const std::string& name,
                                   const Progress& progress) {
    const std::lock_guard alone(loading_);
    CONCLAVE_TRY(const std::string place, placeOf(path));
    const std::string wanted = name.empty() ? nameFromPath(place) : name;
    if (!isModelName(wanted))
        return Error{
            Code::BadArgument, {}, "name", {"no model can be called \"" + wanted + "\"; choose another"}};
    model::LoadOptions options = options_.load;
    options.progress = [&](const std::string& stage, uint64_t done, uint64_t total) {
        if (options_.load.progress) options_.load.progress(stage, done, total);
        if (progress) progress(stage, done, total);
    };
    CONCLAVE_TRY(OpenedModel opened, openModel(place, formats::Weights::WithWeights));
    ContentHash hash;
    if (synth::isSpec(place)) {
        hash.sha256 = hashOfText(place);
    } else {
        CONCLAVE_TRY(
            hash, hashContent(opened.files(), platform::userPaths().cache,
                              [&](uint64_t done, uint64_t total) { options.progress("hash", done, total); }));
    }
    ModelPointer twin;
    for (const ModelPointer& model : snapshot()) {
        const bool same = model->path == place && hashPart(*model) == hash.sha256;
        if (same && (name.empty() || model->name == wanted)) return model;
        if (model->name == wanted && model->path == place)
            return Error{Code::ModelChanged, place, {}, {wanted}};
        if (model->name == wanted) return Error{Code::ModelNameTaken, {}, {}, {wanted}};
        if (same) twin = model;
    }
    LoadedModel made;
    if (twin) {
        made = *twin;
        made.name = wanted;
        made.contentId = wanted + "@" + hash.sha256;
    } else {
        CONCLAVE_TRY(made, loadOpened(std::move(opened), wanted, hash.sha256, options));
        if (!hash.cacheProblem.empty()) made.warnings.push_back(hash.cacheProblem);
    }
    auto model = std::make_shared<const LoadedModel>(std::move(made));
    publish(model);
    return ModelPointer(std::move(model));
}

Result<void> Library::setRouter(const std::string& name, const model::RouterOptions& options) {
    const ModelPointer model = loaded(name);
    if (!model) return Error{Code::UnknownModel, {}, {}, {name, knownNames()}};
    LoadedModel steered = *model;
    CONCLAVE_TRY(steered.router, model::canonicalRouter(options, model->model->config, name));
    auto made = std::make_shared<const LoadedModel>(std::move(steered));
    const std::lock_guard lock(mutex_);
    // Where it was unloaded meanwhile there is nothing to steer.
    for (ModelPointer& other : loaded_)
        if (other->name == name && other->model == made->model) other = made;
    return {};
}

void Library::publish(ModelPointer model) {
    const std::lock_guard lock(mutex_);
    std::erase_if(loaded_, [&](const auto& other) { return other->name == model->name; });
    loaded_.push_back(std::move(model));
}

Result<void> Library::unload(const std::string& name) {
    ModelPointer last;  // may free gigabytes: not under the mutex
    {
        const std::lock_guard lock(mutex_);
        const auto found = std::find_if(loaded_.begin(), loaded_.end(),
                                        [&](const auto& model) { return model->name == name; });
        if (found != loaded_.end()) {
            last = std::move(*found);
            loaded_.erase(found);
        }
    }
    if (!last) return Error{Code::UnknownModel, {}, {}, {name, knownNames()}};
    return {};
}

}  // namespace conclave::engine::library
