// conclaved: flags and configuration -> options -> library, scheduler, server.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <mutex>
#include <new>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <system_error>
#include <thread>
#include <unistd.h>

#include "engine/library/library.h"
#include "engine/platform/file.h"
#include "engine/platform/memory.h"
#include "engine/platform/paths.h"
#include "engine/policy/options.h"
#include "engine/scheduler/scheduler.h"
#include "engine/server/server.h"

namespace conclave::engine {
namespace {

using base::Code;
using base::Error;

struct Arguments {
    std::map<std::string, std::string> flags;
    std::string config;
    std::vector<std::string> models;
};

/// An exit code where there is nothing more to do (help, version, a bad flag).
std::optional<int> parse(int argc, char** argv, Arguments& out) {
    CLI::App app(
        "The Conclave engine: answers on a Unix socket.\nExample: conclaved --model ~/models/mixtral.gguf",
        "conclaved");
    app.set_version_flag("--version", "conclaved " CONCLAVE_VERSION);
    for (const policy::Key& key : policy::keys())
        if (key.flag)
            app.add_option("--" + std::string(key.name), out.flags[std::string(key.name)],
                           std::string(key.help))
                ->type_name(std::string(key.value));
    app.add_option("--config", out.config, "Configuration file instead of the user's config.toml");
    app.add_option("--model", out.models, "Load this model at start; may be given again");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) return app.exit(error);
        std::fprintf(stderr, "conclaved: %s; see conclaved --help\n", error.what());
        return 2;
    }
    return std::nullopt;
}

base::Result<policy::Loaded> readOptions(const Arguments& arguments) {
    policy::Sources sources;
    sources.configNamed = !arguments.config.empty();
    sources.configFile = sources.configNamed ? arguments.config : policy::defaultConfigFile();
    for (const auto& [key, value] : arguments.flags)
        if (!value.empty()) sources.flags.push_back({key, value});
    return policy::load(sources);
}

model::ActivationChoice choiceOf(policy::Activations activations) {
    switch (activations) {
    case policy::Activations::F32:
        return model::ActivationChoice::Exact;
    case policy::Activations::BF16:
        return model::ActivationChoice::BF16;
    case policy::Activations::Int8:
        return model::ActivationChoice::Int8;
    case policy::Activations::Int8x2:
        return model::ActivationChoice::Int8x2;
    default:
        return model::ActivationChoice::Preferred;
    }
}

std::string nameOf(policy::Activations activations) {
    constexpr const char* kNames[] = {"auto", "f32", "bf16", "int8", "int8x2"};
    return kNames[static_cast<size_t>(activations)];
}

library::Library::Options libraryOptions(const policy::Options& options, const kernels::Kernels* row) {
    library::Library::Options out;
    out.folders = platform::modelFolders(options.modelFolders);
    out.load.kernels = row;
    out.load.activations = choiceOf(options.activations);
    out.load.kv = options.kv == policy::Kv::F16 ? kernels::KvType::F16 : kernels::KvType::F32;
    out.load.expertCap = options.expertCap;
    out.load.threads = options.threads;
    out.defaultModel = options.chatModel;
    return out;
}

server::ServerOptions serverOptions(const policy::Options& options, const kernels::Kernels& row) {
    using namespace std::chrono;
    server::ServerOptions out;
    out.stopOnSignals = true;
    out.adapterBytes = options.adapterMemory;
    out.facts.version = CONCLAVE_VERSION;
    out.facts.socketPath =
        options.socket.empty() ? platform::userPaths().runtime + "/engine.sock" : options.socket;
    out.facts.kernels = std::string(row.name);
    out.facts.activations = nameOf(options.activations);
    out.facts.kv = options.kv == policy::Kv::F16 ? "f16" : "f32";
    out.facts.defaultModel = options.chatModel;
    out.facts.startedUnix = duration_cast<seconds>(system_clock::now().time_since_epoch()).count();
    out.facts.owner = base::OwnerId{::getuid()};
    server::Limits& limits = out.facts.limits;
    if (options.connections > 0) limits.connections = options.connections;
    if (options.bodyBytes > 0) limits.bodyBytes = options.bodyBytes;
    if (options.idleSeconds > 0) limits.idle = seconds(options.idleSeconds);
    return out;
}

std::string bytesText(uint64_t bytes) {
    return std::to_string(bytes) + " bytes";
}

/// What a request to each loaded model may use.
void printContexts(const library::Library& library, const scheduler::Scheduler& scheduler) {
    for (const library::ModelEntry& entry : library.list()) {
        const auto model = entry.loaded ? library.loaded(entry.name) : nullptr;
        if (model == nullptr) continue;
        const uint32_t context = scheduler.contextOf(*model);  // first: it counts the model into the budget
        std::printf("model %s: context %u of %u tokens, up to %.1f MiB for computed positions\n",
                    model->name.c_str(), context, model->model->config.context,
                    static_cast<double>(scheduler.kvBytes()) / (1 << 20));
    }
}

/// A budget that the machine does not have now is refused, not met in the middle of the work.
base::Result<void> checkAdapterMemory(uint64_t bytes) {
    const uint64_t available = platform::availableMemory();
    if (bytes <= available) return {};
    return Error{Code::OutOfMemory,
                 {},
                 "--adapter-memory",
                 {bytesText(bytes) + " wanted, " + bytesText(available) + " available"}};
}

/// What was asked for at the start must be possible with what is loaded at the start.
base::Result<void> checkFits(const policy::Options& options, const library::LoadedModel& model) {
    if (options.context > model.model->config.context)
        return Error{Code::OutOfRange,
                     {},
                     "--context",
                     {std::to_string(options.context), "at most " +
                                                           std::to_string(model.model->config.context) +
                                                           ", what model " + model.name + " holds"}};
    const size_t page = model.model->kv.pageBytes;
    if (options.kvMemory != 0 && options.kvMemory < page)
        return Error{Code::KvBudget, {}, {}, {bytesText(options.kvMemory), bytesText(page), bytesText(page)}};
    return {};
}

base::Result<void> preload(const std::vector<std::string>& models, const policy::Options& options,
                           library::Library& library) {
    for (const std::string& wish : models) {
        const bool synthetic = library::isSynthetic(wish);
        const std::string path =
            synthetic ? wish : std::filesystem::absolute(wish).lexically_normal().string();
        const bool isName = !synthetic && wish.find('/') == std::string::npos &&
                            platform::pathKind(path) == platform::PathKind::Missing;
        spdlog::info("loading {}", wish);
        CONCLAVE_TRY(const auto model, isName ? library.get(wish) : library.load(path, "", {}));
        for (const std::string& warning : model->warnings)
            spdlog::warn("{}: {}", model->name, warning);
        CONCLAVE_TRY_VOID(checkFits(options, *model));
    }
    return {};
}

base::Result<void> serve(const Arguments& arguments) {
    CONCLAVE_TRY(const policy::Loaded loaded, readOptions(arguments));
    const policy::Options& options = loaded.options;
    for (const std::string& warning : loaded.warnings)
        spdlog::warn("{}", warning);
    if (options.expertCap > 0)
        spdlog::warn(
            "expert-cap {}: answers depend on what else is answered at the same time, the same request "
            "and seed may answer differently, and no computed prompt is used again",
            options.expertCap);
    CONCLAVE_TRY_VOID(checkAdapterMemory(options.adapterMemory));
    CONCLAVE_TRY(const kernels::Kernels* const row, kernels::selectKernels(options.kernels));
    scheduler::SchedulerOptions schedulerOptions;
    schedulerOptions.threads = options.threads;
    schedulerOptions.kvBytes = options.kvMemory;
    schedulerOptions.context = options.context;
    library::Library library(libraryOptions(options, row));
    CONCLAVE_TRY(const auto scheduler, scheduler::Scheduler::start(schedulerOptions));
    const server::ServerOptions door = serverOptions(options, *row);
    CONCLAVE_TRY(const auto server, server::Server::start(door, library, *scheduler));

    // The door is open while models load, so that a signal or `conclave stop` is heard.
    base::Result<void> outcome;
    std::atomic<bool> preloaded{false};
    std::thread loading([&] {
        outcome = preload(arguments.models, options, library);
        preloaded = true;
        if (!outcome.ok()) return server->stop();
        printContexts(library, *scheduler);
        std::printf("adapters: up to %.1f MiB\n", static_cast<double>(server->adapterBytes()) / (1 << 20));
        std::printf("conclaved %s listens on %s (%zu threads, %s kernels)\n", CONCLAVE_VERSION,
                    door.facts.socketPath.c_str(), scheduler->threads(), door.facts.kernels.c_str());
        std::fflush(stdout);
    });
    server->wait();
    // A load can take minutes and cannot be called back; nobody is waiting for it now.
    if (!preloaded || server->loading()) std::_Exit(0);
    loading.join();
    return outcome;
}

}  // namespace
}  // namespace conclave::engine

int main(int argc, char** argv) {
    using namespace conclave::engine;
    Arguments arguments;
    if (const std::optional<int> code = parse(argc, argv, arguments)) return *code;
    spdlog::set_default_logger(spdlog::stderr_color_mt("conclaved"));
    spdlog::set_pattern("%Y-%m-%d %H:%M:%S %l: %v");
    try {
        const base::Result<void> served = serve(arguments);
        if (served.ok()) return 0;
        std::fprintf(stderr, "conclaved: %s\n", base::render(served.error()).c_str());
    } catch (const std::bad_alloc&) {
        std::fputs("conclaved: the system refuses memory; free some and start it again\n", stderr);
    } catch (const std::system_error& error) {
        std::fprintf(stderr,
                     "conclaved: the system refuses what is needed (%s); free some and start it again\n",
                     error.what());
    }
    return 2;
}
