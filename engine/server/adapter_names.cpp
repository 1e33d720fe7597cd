#include "engine/server/adapter_names.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "engine/library/adapter_places.h"

namespace conclave::engine::server {
namespace {

using base::Code;
using base::Error;
using base::Result;

/// The models of an adapter's name -> that adapter of each.
Result<Named> ofOneModel(const std::string& adapter, const std::vector<std::string>& models) {
    if (models.size() > 1)
        return Error{Code::BadArgument,
                     {},
                     "model",
                     {adapter + " is an adapter of several models; write one of them before it, as in " +
                      models.front() + ":" + adapter}};
    return Named{models.front(), adapter};
}

}  // namespace

Result<Named> namedBy(Context& context, const std::string& wanted) {
    if (wanted.empty() || context.library.loaded(wanted) != nullptr) return Named{wanted, {}};
    const std::vector<std::string> onShelf = context.adapters.modelsWith(wanted);
    if (!onShelf.empty()) return ofOneModel(wanted, onShelf);
    const std::vector<library::ModelEntry> models = context.library.list();
    const auto isModel = [&models](const std::string& name) {
        return std::ranges::any_of(models, [&](const auto& entry) { return entry.name == name; });
    };
    if (isModel(wanted)) return Named{wanted, {}};
    for (size_t colon = wanted.find(':'); colon != std::string::npos && colon + 1 < wanted.size();
         colon = wanted.find(':', colon + 1))
        if (isModel(wanted.substr(0, colon))) return Named{wanted.substr(0, colon), wanted.substr(colon + 1)};
    std::vector<std::string> beside;
    for (const library::ModelEntry& model : models)
        for (const library::InstalledAdapter& adapter : library::adaptersBeside(model.path))
            if (adapter.name == wanted) beside.push_back(model.name);
    return beside.empty() ? Named{wanted, {}} : ofOneModel(wanted, beside);
}

std::vector<protocol::ModelRow> adaptersAsModels(Context& context) {
    const std::vector<library::ModelEntry> models = context.library.list();
    std::map<std::pair<std::string, std::string>, protocol::ModelRow> rows;  // by model and name
    for (const library::ShelvedAdapter& entry : context.adapters.list())
        rows[{entry.model, entry.name}] = {.id = entry.name,
                                           .createdUnix = entry.loadedAtUnix,
                                           .loaded = entry.loaded,
                                           .path = entry.path,
                                           .bytes = entry.facts->bytes,
                                           .parent = entry.model};
    for (const library::ModelEntry& model : models)
        for (const library::InstalledAdapter& adapter : library::adaptersBeside(model.path))
            rows.try_emplace({model.name, adapter.name}, protocol::ModelRow{.id = adapter.name,
                                                                            .createdUnix = model.createdUnix,
                                                                            .path = adapter.path,
                                                                            .parent = model.name});
    std::multiset<std::string> names;
    for (const library::ModelEntry& model : models)
        names.insert(model.name);
    for (const auto& [key, row] : rows)
        names.insert(row.id);
    std::vector<protocol::ModelRow> out;
    for (auto& [key, row] : rows) {
        if (names.count(row.id) > 1) row.id = row.parent + ":" + row.id;
        out.push_back(std::move(row));
    }
    return out;
}

std::vector<protocol::AdapterListing::Installed> adaptersToLoad(Context& context) {
    std::set<std::pair<std::string, std::string>> shelved;  // model and name
    std::set<std::string> paths;
    for (const library::ShelvedAdapter& entry : context.adapters.list()) {
        shelved.emplace(entry.model, entry.name);
        paths.insert(entry.path);
    }
    std::vector<protocol::AdapterListing::Installed> out;
    for (const library::ModelEntry& model : context.library.list())
        for (library::InstalledAdapter& adapter : library::adaptersBeside(model.path))
            if (!shelved.contains({model.name, adapter.name}))
                out.push_back({std::move(adapter.name), model.name, std::move(adapter.path)});
    for (library::InstalledAdapter& adapter : library::installedAdapters({}))
        if (!paths.contains(adapter.path))
            out.push_back({std::move(adapter.name), {}, std::move(adapter.path)});
    return out;
}

std::optional<protocol::AdapterListing::Installed> adapterToLoad(Context& context, const std::string& name) {
    for (protocol::AdapterListing::Installed& adapter : adaptersToLoad(context))
        if (adapter.name == name || (!adapter.model.empty() && adapter.model + ":" + adapter.name == name))
            return std::move(adapter);
    return std::nullopt;
}

}  // namespace conclave::engine::server
