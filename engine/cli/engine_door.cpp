#include "engine/cli/engine_door.h"

#include <CLI/Validators.hpp>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <unistd.h>

#include "engine/cli/terminal.h"
#include "engine/client/ensure_engine.h"
#include "engine/offline/installed.h"
#include "engine/platform/paths.h"
#include "engine/policy/options.h"

namespace conclave::engine::cli {
namespace {

base::Result<client::EnsureOptions> ensureOptions(const std::string& socket) {
    client::EnsureOptions options;
    options.socket = socket;
    CONCLAVE_TRY(const policy::Options configured, userOptions({}));
    options.configuredSocket = configured.socket;
    options.say = [](const std::string& line) {
        if (stderrIsTerminal()) std::fprintf(stderr, "%s\n", line.c_str());
    };
    return options;
}

}  // namespace

policy::Sources userSources() {
    policy::Sources sources;
    sources.configFile = policy::defaultConfigFile();
    return sources;
}

base::Result<policy::Options> userOptions(const std::map<std::string, std::string>& flags) {
    policy::Sources sources = userSources();
    for (const auto& [key, value] : flags)
        if (!value.empty()) sources.flags.push_back({key, value});
    CONCLAVE_TRY(policy::Loaded loaded, policy::load(sources));
    static std::set<std::string> said;  // a command asks for its options more than once
    for (const std::string& warning : loaded.warnings)
        if (said.insert(warning).second) std::fprintf(stderr, "conclave: warning: %s\n", warning.c_str());
    return std::move(loaded.options);
}

base::Result<std::vector<std::string>> modelFolders() {
    CONCLAVE_TRY(policy::Options configured, userOptions({}));
    return platform::modelFolders(std::move(configured.modelFolders));
}

base::Result<std::string> modelPath(const std::string& argument) {
    CONCLAVE_TRY(const std::vector<std::string> folders, modelFolders());
    return offline::modelPath(argument, folders);
}

void addSocketFlag(CLI::App& app, std::string& socket) {
    app.add_option("--socket", socket, "Socket of the engine; the user's own without it");
}

base::Result<client::Engine> openEngine(const std::string& socket) {
    CONCLAVE_TRY(const client::EnsureOptions options, ensureOptions(socket));
    return client::ensureEngine(options);
}

base::Result<client::Engine> findRunningEngine(const std::string& socket) {
    CONCLAVE_TRY(const client::EnsureOptions options, ensureOptions(socket));
    return client::findEngine(options);
}

base::Result<std::string> readyModel(const client::Engine& engine, const std::string& argument) {
    if (argument.empty())
        return base::Error{base::Code::BadArgument, {}, "model", {"is empty; give a name or a path"}};
    protocol::LoadRequest request;
    CONCLAVE_TRY(const std::vector<protocol::ModelRow> known, engine.listModels());
    for (const protocol::ModelRow& model : known)
        if (model.id == argument) request.name = argument;
    if (request.name.empty()) {
        CONCLAVE_TRY(const std::vector<std::string> folders, modelFolders());
        CONCLAVE_TRY(const offline::ModelReference reference, offline::modelReference(argument, folders));
        request.path = reference.path;
    }
    ProgressBar bar;
    CONCLAVE_TRY(const protocol::LoadReady ready,
                 engine.loadModel(request, [&](const protocol::LoadProgress& progress) {
                     bar.show(progress.stage, progress.done, progress.total);
                 }));
    bar.clear();
    for (const std::string& warning : ready.warnings)
        std::fprintf(stderr, "conclave: warning: %s\n", warning.c_str());
    return ready.id;
}

void addGenerationFlags(CLI::App& app, protocol::Generation& generation) {
    // JSON cannot say NaN or infinity: they would arrive as if nothing had been given.
    const CLI::Validator finite(
        [](std::string& text) {
            return std::isfinite(std::strtod(text.c_str(), nullptr)) ? std::string()
                                                                     : text + " is not a number";
        },
        "");
    app.add_option("--temperature", generation.temperature, "0 = always the likeliest token; 0 to 5")
        ->check(finite);
    app.add_option("--top-p", generation.topP, "Keep the likeliest tokens up to this share; 0 to 1")
        ->check(finite);
    app.add_option_function<int64_t>(
        "--top-k",
        [&generation](const int64_t& k) {
            generation.topK = k <= 0 ? 0 : static_cast<uint32_t>(std::min<int64_t>(k, UINT32_MAX));
        },
        "Keep this many of the likeliest tokens; 0 = all");
    app.add_option("--min-p", generation.minP, "Drop tokens below this share of the likeliest; 0 to 1")
        ->check(finite);
    app.add_option("--typical-p", generation.typicalP,
                   "Keep the most typical tokens up to this share; 0 to 1")
        ->check(finite);
    app.add_option("--presence-penalty", generation.presencePenalty,
                   "Taken from tokens that were generated before; -2 to 2")
        ->check(finite);
    app.add_option("--frequency-penalty", generation.frequencyPenalty,
                   "The same for each time they were; -2 to 2")
        ->check(finite);
    app.add_option("--repeat-penalty", generation.repetitionPenalty,
                   "Divides the odds of tokens of prompt and answer; 1 = off")
        ->check(finite);
    app.add_option("--repeat-last-n", generation.repeatLastN,
                   "Tokens that penalties look back at; -1 = all, 0 = none");
    app.add_option("--min-tokens", generation.minTokens, "Do not end the answer before this many tokens");
    app.add_flag("--ignore-eos", generation.ignoreEos, "Go on when the model says that it is done");
    app.add_option("--seed", generation.seed, "The same seed gives the same answer");
    app.add_option("--max-tokens", generation.maxTokens, "End the answer after this many tokens");
    app.add_option("--stop", generation.stop, "End the answer before this text; may be given again");
}

}  // namespace conclave::engine::cli
