#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "engine/cli/command.h"
#include "engine/cli/engine_door.h"
#include "engine/cli/terminal.h"

namespace conclave::engine::cli {
namespace {

struct Options {
    std::string socket;
    bool json = false;
};

void print(const protocol::EngineInfo& info, const std::vector<protocol::SequenceRow>& sequences) {
    std::printf("engine   %s, process %lld, %llu threads, kernels %s\n", info.version.c_str(),
                static_cast<long long>(info.pid), static_cast<unsigned long long>(info.threads),
                info.kernels.c_str());
    std::printf("socket   %s\n", info.socket.c_str());
    if (info.models.empty()) std::puts("models   none loaded");
    for (const protocol::LoadedRow& model : info.models) {
        std::printf("model    %s (%s, context %u, %s)\n", model.id.c_str(), model.architecture.c_str(),
                    model.context, model.numericsId.c_str());
        if (model.router) std::printf("router   %s\n", protocol::dump(routerJson(*model.router)).c_str());
    }
    for (const protocol::SequenceRow& row : sequences)
        std::printf("request  %llu on %s: %s, %u of %u prompt tokens, %u written\n",
                    static_cast<unsigned long long>(row.id), row.model.c_str(), row.state.c_str(),
                    row.doneTokens, row.promptTokens, row.generatedTokens);
}

int ps(const Options& options) {
    const auto engine = findRunningEngine(options.socket);
    if (!engine.ok()) return fail(engine.error());
    const auto info = engine->info();
    if (!info.ok()) return fail(info.error());
    const auto sequences = engine->sequences();
    if (!sequences.ok()) return fail(sequences.error());
    if (!options.json) {
        print(*info, *sequences);
        return 0;
    }
    nlohmann::ordered_json out = nlohmann::ordered_json::parse(protocol::toText(*info));
    out["sequences"] = nlohmann::ordered_json::parse(protocol::toText(*sequences));
    std::puts(out.dump(2).c_str());
    return 0;
}

}  // namespace

Run declarePs(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_flag("--json", options->json, "Print JSON");
    addSocketFlag(app, options->socket);
    return [options] { return ps(*options); };
}

}  // namespace conclave::engine::cli
