#include "engine/cli/adapter_door.h"

#include <charconv>
#include <cmath>
#include <filesystem>

#include "engine/cli/terminal.h"
#include "engine/protocol/models.h"

namespace conclave::engine::cli {
namespace {

/// "legal:0.5" as a name and a scale; a colon that no number follows belongs to the name.
protocol::LoraUse useOf(const std::string& wish) {
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

bool isPath(const std::string& name) {
    std::error_code failed;
    return name.find('/') != std::string::npos || std::filesystem::exists(name, failed);
}

}  // namespace

void addAdapterFlag(CLI::App& app, std::vector<std::string>& wishes) {
    app.add_option("--adapter", wishes,
                   "NAME[:SCALE] of an adapter of the model, or its path; may be given again");
}

base::Result<std::string> loadAdapter(const client::Engine& engine, const protocol::AdapterLoad& request) {
    std::optional<base::Result<std::string>> outcome;
    ProgressBar bar;
    const auto onEvent = [&](const protocol::SseEvent& event) {
        auto read = protocol::readLoadEvent(event.event, event.data);
        if (!read.ok())
            outcome = read.error();
        else if (const auto* step = std::get_if<protocol::LoadProgress>(&*read))
            bar.show(step->stage, step->done, step->total);
        else if (auto* ready = std::get_if<protocol::LoadReady>(&*read))
            outcome = std::move(ready->id);
        else
            outcome = std::get<base::Error>(*read);
        return !outcome.has_value();
    };
    CONCLAVE_TRY_VOID(
        engine.stream("/conclave/v1/adapters", protocol::dump(protocol::toJson(request)), onEvent));
    bar.clear();
    if (outcome) return *std::move(outcome);
    return base::Error{base::Code::EngineProtocol, {}, {}, {"a load without an end"}};
}

base::Result<std::optional<std::vector<protocol::LoraUse>>>
readyAdapters(const client::Engine& engine, const std::string& model,
              const std::vector<std::string>& wishes) {
    std::optional<std::vector<protocol::LoraUse>> out;
    if (!wishes.empty()) out.emplace();
    for (const std::string& wish : wishes) {
        protocol::LoraUse use = useOf(wish);
        if (isPath(use.name)) {
            CONCLAVE_TRY(use.name,
                         loadAdapter(engine, {std::filesystem::absolute(use.name).lexically_normal().string(),
                                              "", model}));
        }
        out->push_back(std::move(use));
    }
    return out;
}

}  // namespace conclave::engine::cli
