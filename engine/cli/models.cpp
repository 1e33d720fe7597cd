#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "engine/cli/command.h"
#include "engine/cli/engine_door.h"
#include "engine/cli/terminal.h"
#include "engine/offline/installed.h"

namespace conclave::engine::cli {
namespace {

struct Options {
    std::string socket;
    bool json = false;
};

/// What the running engine knows, or what lies in the model folders when none runs: nothing is started for a
/// listing.
base::Result<std::vector<protocol::ModelRow>> rows(const std::string& socket) {
    const auto engine = findRunningEngine(socket);
    if (engine.ok()) return engine->listModels();
    if (engine.error().code != base::Code::EngineNotRunning || !socket.empty()) return engine.error();
    std::vector<protocol::ModelRow> out;
    CONCLAVE_TRY(const std::vector<std::string> folders, modelFolders());
    for (const offline::InstalledModel& model : offline::installedModels(folders))
        out.push_back({.id = model.name, .path = model.path, .bytes = model.bytes});
    return out;
}

int models(const Options& options) {
    const auto found = rows(options.socket);
    if (!found.ok()) return fail(found.error());
    if (options.json) {
        nlohmann::ordered_json out = nlohmann::ordered_json::array();
        for (const protocol::ModelRow& row : *found)
            out.push_back({{"id", row.id}, {"loaded", row.loaded}, {"path", row.path}, {"bytes", row.bytes}});
        std::puts(out.dump(2).c_str());
        return 0;
    }
    size_t width = 4;
    for (const protocol::ModelRow& row : *found)
        width = std::max(width, row.id.size());
    for (const protocol::ModelRow& row : *found)
        std::printf("%-*s  %-9s  %9s  %s\n", static_cast<int>(width), row.id.c_str(),
                    row.loaded ? "loaded" : "installed", readableBytes(row.bytes).c_str(), row.path.c_str());
    return 0;
}

}  // namespace

Run declareModels(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_flag("--json", options->json, "Print JSON");
    addSocketFlag(app, options->socket);
    return [options] { return models(*options); };
}

}  // namespace conclave::engine::cli
