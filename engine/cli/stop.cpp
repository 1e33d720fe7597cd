#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "engine/cli/command.h"
#include "engine/cli/engine_door.h"

namespace conclave::engine::cli {
namespace {

struct Options {
    std::string socket;
    std::vector<std::string> models;
};

int unload(const client::Engine& engine, const std::vector<std::string>& models) {
    for (const std::string& model : models) {
        const auto unloaded = engine.unloadModel(model);
        if (!unloaded.ok()) return fail(unloaded.error());
        std::printf("%s is unloaded; requests that began with it finish with it\n", model.c_str());
    }
    return 0;
}

int stop(const Options& options) {
    const auto engine = findRunningEngine(options.socket);
    if (!engine.ok()) return fail(engine.error());
    if (!options.models.empty()) return unload(*engine, options.models);
    const auto stopped = engine->stop();
    if (!stopped.ok()) return fail(stopped.error());
    std::puts("stopped");
    return 0;
}

}  // namespace

Run declareStop(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_option("model", options->models, "Only unload these models; the engine goes on");
    addSocketFlag(app, options->socket);
    return [options] { return stop(*options); };
}

}  // namespace conclave::engine::cli
