#include "engine/cli/adapter_door.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <system_error>

#include "engine/cli/terminal.h"

namespace conclave::engine::cli {
namespace {

bool isPath(const std::string& name) {
    std::error_code failed;
    return name.find('/') != std::string::npos || std::filesystem::exists(name, failed);
}

/// A name that only this path has, and only as it lies there now: many folders are called "checkpoint-500",
/// and what was trained again is another adapter.
std::string nameOfItsOwn(const std::filesystem::path& path) {
    std::error_code failed;  // a time that cannot be had makes the name no worse than the path alone
    const bool folder = std::filesystem::is_directory(path, failed);
    const auto written =
        std::filesystem::last_write_time(folder ? path / "adapter_model.safetensors" : path, failed);
    const auto ticks = failed ? 0 : written.time_since_epoch().count();
    char number[24];
    std::snprintf(number, sizeof number, "-%08zx",
                  std::hash<std::string>()(path.string() + "@" + std::to_string(ticks)) & 0xffffffff);
    return (path.extension() == ".gguf" ? path.stem() : path.filename()).string() + number;
}

base::Result<std::string> loadPath(const client::Engine& engine, const std::string& given,
                                   const std::string& model) {
    std::filesystem::path path = std::filesystem::absolute(given).lexically_normal();
    if (!path.has_filename()) path = path.parent_path();  // "folder/"
    auto name = loadAdapter(engine, {path.string(), "", model});
    if (name.ok() || name.error().code != base::Code::ModelNameTaken) return name;
    return loadAdapter(engine, {path.string(), nameOfItsOwn(path), model});
}

}  // namespace

protocol::LoraUse adapterWish(const std::string& wish) {
    protocol::LoraUse use{.id = {}, .name = wish, .scale = 1};
    const size_t colon = wish.rfind(':');
    if (colon == std::string::npos || colon == 0) return use;
    const char *begin = wish.data() + colon + 1, *end = wish.data() + wish.size();
    double scale = 0;
    const auto [stop, error] = std::from_chars(begin, end, scale);
    if (error != std::errc() || stop != end || !std::isfinite(scale)) return use;
    use.name = wish.substr(0, colon);
    use.scale = scale;
    return use;
}

void addAdapterFlag(CLI::App& app, std::vector<std::string>& wishes) {
    app.add_option("--adapter", wishes,
                   "NAME[:SCALE] of an adapter of the model, or its path; may be given again");
}

base::Result<std::string> loadAdapter(const client::Engine& engine, const protocol::AdapterLoad& request) {
    ProgressBar bar;
    CONCLAVE_TRY(const protocol::LoadReady ready,
                 engine.loadAdapter(request, [&](const protocol::LoadProgress& progress) {
                     bar.show(progress.stage, progress.done, progress.total);
                 }));
    bar.clear();
    for (const std::string& warning : ready.warnings)
        std::fprintf(stderr, "conclave: warning: %s\n", warning.c_str());
    return ready.id;
}

base::Result<std::optional<std::vector<protocol::LoraUse>>>
readyAdapters(const client::Engine& engine, const std::string& model,
              const std::vector<std::string>& wishes) {
    std::optional<std::vector<protocol::LoraUse>> out;
    if (!wishes.empty()) out.emplace();
    for (const std::string& wish : wishes) {
        protocol::LoraUse use = adapterWish(wish);
        if (isPath(use.name)) {
            CONCLAVE_TRY(use.name, loadPath(engine, use.name, model));
        }
        out->push_back(std::move(use));
    }
    return out;
}

}  // namespace conclave::engine::cli
