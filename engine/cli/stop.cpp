#include <cstdio>
#include <memory>

#include "engine/cli/command.h"
#include "engine/cli/engine_door.h"

namespace conclave::engine::cli {
namespace {

int stop(const std::string& socket) {
    const auto engine = findRunningEngine(socket);
    if (!engine.ok()) return fail(engine.error());
    const auto stopped = engine->stop();
    if (!stopped.ok()) return fail(stopped.error());
    std::puts("stopped");
    return 0;
}

}  // namespace

Run declareStop(CLI::App& app) {
    auto socket = std::make_shared<std::string>();
    addSocketFlag(app, *socket);
    return [socket] { return stop(*socket); };
}

}  // namespace conclave::engine::cli
