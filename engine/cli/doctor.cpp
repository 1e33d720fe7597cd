#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "engine/cli/command.h"
#include "engine/cli/engine_door.h"
#include "engine/cli/terminal.h"
#include "engine/client/ensure_engine.h"
#include "engine/offline/installed.h"
#include "engine/offline/machine.h"
#include "engine/platform/environment.h"
#include "engine/platform/file.h"
#include "engine/platform/paths.h"
#include "engine/policy/options.h"

namespace conclave::engine::cli {
namespace {

struct Options {
    std::string socket;
    bool json = false;
};

struct Report {
    offline::Machine machine;
    std::string socket;
    std::optional<protocol::EngineInfo> engine;
    std::string engineProblem;
    std::vector<std::string> modelFolders;
    std::vector<offline::InstalledModel> models;
    std::string configFile;
    std::vector<std::string> problems;  ///< what somebody should mend
};

Report inspect(const Options& options) {
    Report report;
    report.machine = offline::inspectMachine();
    report.socket = options.socket.empty() ? client::userSocket() : options.socket;
    const auto engine = findRunningEngine(options.socket);
    if (engine.ok()) {
        report.socket = engine->socketPath();
        const auto info = engine->info();
        if (info.ok())
            report.engine = *info;
        else
            report.problems.push_back(base::render(info.error()));
    } else if (engine.error().code == base::Code::EngineNotRunning) {
        report.engineProblem = "not running";
    } else {
        report.problems.push_back(base::render(engine.error()));
    }
    report.configFile = policy::defaultConfigFile();
    const auto config = policy::load(userSources());
    if (!config.ok())
        report.problems.push_back(base::render(config.error()));
    else
        report.problems.insert(report.problems.end(), config->warnings.begin(), config->warnings.end());
    report.modelFolders =
        platform::modelFolders(config.ok() ? config->options.modelFolders : std::vector<std::string>());
    report.models = offline::installedModels(report.modelFolders);
    if (report.models.empty())
        report.problems.push_back("no model is installed; put one into " + platform::userModelFolder());
    const std::string engineProgram = platform::executableFolder() + "/conclaved";
    if (platform::pathKind(engineProgram) != platform::PathKind::Regular)
        report.problems.push_back(engineProgram +
                                  " is missing; build or install the engine beside this program");
    return report;
}

void print(const Report& report) {
    const offline::Machine& m = report.machine;
    std::printf("processor   %s (%s)\n", m.processor.c_str(), m.features.c_str());
    std::printf("threads     %zu (at most %zu)\n", m.threads, m.availableThreads);
    std::printf("memory      %s, %s of it free for use\n", readableBytes(m.memoryBytes).c_str(),
                readableBytes(m.availableBytes).c_str());
    for (const auto& row : m.kernels)
        std::printf("kernels     %s%s\n", row.name.c_str(),
                    row.supported ? "" : " (this processor lacks what it needs)");
    std::printf("socket      %s\n", report.socket.c_str());
    if (report.engine)
        std::printf("engine      %s, process %lld, models loaded: %zu\n", report.engine->version.c_str(),
                    static_cast<long long>(report.engine->pid), report.engine->models.size());
    else
        std::printf("engine      %s\n", report.engineProblem.c_str());
    std::printf("config      %s%s\n", report.configFile.c_str(),
                platform::pathKind(report.configFile) == platform::PathKind::Regular ? ""
                                                                                     : " (none: defaults)");
    for (const std::string& folder : report.modelFolders)
        std::printf("models in   %s\n", folder.c_str());
    for (const offline::InstalledModel& model : report.models)
        std::printf("model       %s, %s\n", model.name.c_str(), readableBytes(model.bytes).c_str());
    for (const auto& variable : platform::relevantEnvironment())
        std::printf("environment %s=%s\n", variable.name.c_str(), variable.value.c_str());
    for (const std::string& problem : report.problems)
        std::printf("problem     %s\n", problem.c_str());
    if (report.problems.empty()) std::puts("all is well");
}

nlohmann::ordered_json toJson(const Report& report) {
    nlohmann::ordered_json models = nlohmann::ordered_json::array();
    for (const offline::InstalledModel& model : report.models)
        models.push_back({{"name", model.name}, {"path", model.path}, {"bytes", model.bytes}});
    nlohmann::ordered_json environment;
    for (const auto& variable : platform::relevantEnvironment())
        environment[variable.name] = variable.value;
    return {{"machine", offline::toJson(report.machine)},
            {"socket", report.socket},
            {"engine", report.engine ? nlohmann::ordered_json::parse(protocol::toText(*report.engine))
                                     : nlohmann::ordered_json(nullptr)},
            {"config", report.configFile},
            {"model_folders", report.modelFolders},
            {"models", models},
            {"environment", environment},
            {"problems", report.problems}};
}

int doctor(const Options& options) {
    const Report report = inspect(options);
    if (options.json)
        std::puts(toJson(report).dump(2).c_str());
    else
        print(report);
    return report.problems.empty() ? 0 : 1;
}

}  // namespace

Run declareDoctor(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_flag("--json", options->json, "Print JSON");
    addSocketFlag(app, options->socket);
    return [options] { return doctor(*options); };
}

}  // namespace conclave::engine::cli
