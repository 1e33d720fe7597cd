#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "engine/cli/adapter_door.h"
#include "engine/cli/adapter_files.h"
#include "engine/cli/command.h"
#include "engine/cli/engine_door.h"
#include "engine/cli/terminal.h"

namespace conclave::engine::cli {
namespace {

struct Options {
    std::string socket;
    std::string model, path, name;
    bool json = false;
};

int list(const Options& options) {
    const auto engine = findRunningEngine(options.socket);
    if (!engine.ok()) return fail(engine.error());
    const auto listing = engine->listAdapters();
    if (!listing.ok()) return fail(listing.error());
    const std::vector<protocol::AdapterRow>& rows = listing->rows;
    if (options.json) {
        nlohmann::ordered_json out = nlohmann::ordered_json::array();
        for (const protocol::AdapterRow& row : rows)
            out.push_back(protocol::adapterJson(row));
        std::puts(out.dump(2).c_str());
        return 0;
    }
    if (rows.empty()) std::puts("no adapter is loaded");
    for (const protocol::AdapterRow& row : rows) {
        const std::string memory = row.loaded ? readableBytes(row.bytes) : "made room for others";
        std::printf("%u  %s:%s  %u matrices, rank %u, %s  %s\n", row.id.value_or(0), row.model.c_str(),
                    row.name.c_str(), row.matrices, row.rank, memory.c_str(), row.path.c_str());
    }
    if (!listing->installed.empty()) std::puts("installed, loaded by the first request that names them:");
    for (const protocol::AdapterListing::Installed& adapter : listing->installed)
        std::printf("-  %s%s%s  %s\n", adapter.model.c_str(), adapter.model.empty() ? "" : ":",
                    adapter.name.c_str(), adapter.path.c_str());
    std::printf("memory: %s of %s\n", readableBytes(listing->bytes).c_str(),
                readableBytes(listing->budget).c_str());
    return 0;
}

int load(const Options& options) {
    const auto engine = openEngine(options.socket);
    if (!engine.ok()) return fail(engine.error());
    const auto model = readyModel(*engine, options.model);
    if (!model.ok()) return fail(model.error());
    if (options.path.empty())
        return fail({base::Code::BadArgument, {}, "path", {"is empty; give PEFT's folder or a GGUF file"}});
    const auto ready = loadAdapter(
        *engine, {std::filesystem::absolute(options.path).lexically_normal().string(), options.name, *model});
    if (!ready.ok()) return fail(ready.error());
    std::printf("%s:%s is loaded\n", model->c_str(), ready->c_str());
    return 0;
}

int unload(const Options& options) {
    const auto engine = findRunningEngine(options.socket);
    if (!engine.ok()) return fail(engine.error());
    if (options.name.empty())
        return fail(
            {base::Code::BadArgument, {}, "name", {"is empty; conclave adapters list has the names"}});
    const auto done = engine->unloadAdapter(options.name);
    if (!done.ok()) return fail(done.error());
    std::printf("%s is unloaded; requests that began with it finish with it\n", options.name.c_str());
    return 0;
}

}  // namespace

Run declareAdapters(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.require_subcommand(1);
    CLI::App* lists = app.add_subcommand(
        "list", "The adapters that the running engine has loaded, and those it finds installed");
    lists->footer("Example:\n  conclave adapters list --json");
    lists->add_flag("--json", options->json, "Print JSON");
    addSocketFlag(*lists, options->socket);
    CLI::App* loads = app.add_subcommand("load", "Load PEFT's folder or a GGUF file for a model");
    loads->footer("Example:\n  conclave adapters load starter ./my-adapter --name mine");
    loads->add_option("model", options->model, "The model it was made for: a name or a path")->required();
    loads->add_option("path", options->path, "The adapter")->required();
    loads->add_option("--name", options->name, "What requests call it; its file name without this");
    addSocketFlag(*loads, options->socket);
    CLI::App* unloads = app.add_subcommand("unload", "Forget a loaded adapter");
    unloads->footer("Example:\n  conclave adapters unload starter:mine");
    unloads->add_option("name", options->name, "NAME or MODEL:NAME")->required();
    addSocketFlag(*unloads, options->socket);
    const std::array files{declareAdapterInfo(app), declareAdapterConvert(app), declareAdapterMerge(app)};
    return [options, lists, loads, files] {
        for (const AdapterCommand& command : files)
            if (command.app->parsed()) return command.run();
        return lists->parsed() ? list(*options) : loads->parsed() ? load(*options) : unload(*options);
    };
}

}  // namespace conclave::engine::cli
