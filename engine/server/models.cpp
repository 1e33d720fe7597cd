// What models there are; loading and unloading them.
#include "engine/protocol/models.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "engine/server/adapter_names.h"
#include "engine/server/progress_writer.h"
#include "engine/server/routes.h"

namespace conclave::engine::server {
namespace {

using base::Code;
using base::Error;

protocol::ModelRow rowOf(const library::ModelEntry& entry) {
    return {entry.name, entry.createdUnix, entry.loaded, entry.path, entry.bytes};
}

Error unknownModel(const std::string& name, const std::vector<library::ModelEntry>& entries) {
    std::string known;
    for (const library::ModelEntry& entry : entries)
        known += (known.empty() ? "" : ", ") + entry.name;
    return {Code::UnknownModel, {}, "model", {name, known.empty() ? "none" : known}};
}

void loadNow(Context& context, const protocol::LoadRequest& wish, const Reply& reply) {
    std::string path = wish.path;
    if (path.empty()) {
        if (context.library.loaded(wish.name) == nullptr) {
            const auto found = context.library.pathOf(wish.name);
            if (!found.ok()) return reply.fail(found.error());
            path = *found;
        }
    }
    ProgressWriter progress(reply);
    const auto model =
        path.empty()
            ? context.library.get(wish.name)
            : context.library.load(path, wish.name,
                                   [&progress](const std::string& stage, uint64_t done, uint64_t total) {
                                       progress.report(stage, done, total);
                                   });
    if (!model.ok()) return reply.fail(model.error());
    if (wish.router) {
        const auto steered = context.library.setRouter((*model)->name, routerOf(*wish.router));
        if (!steered.ok()) return reply.fail(steered.error());
    }
    progress.begin();
    reply.event(std::string(protocol::kReadyEvent),
                protocol::toText(protocol::LoadReady{(*model)->name, (*model)->warnings}));
    reply.end();
}

/// The double that a person wrote to get this float: 0.7, not 0.699999988.
double asWritten(float value) {
    std::array<char, 32> text{};
    const char* end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
    double out = 0;
    std::from_chars(text.data(), end, out);
    return out;
}

}  // namespace

model::RouterOptions routerOf(const protocol::RouterWish& wish) {
    model::RouterOptions out{.temperature = static_cast<float>(wish.temperature.value_or(1)),
                             .active = wish.active.value_or(0),
                             .floor = static_cast<float>(wish.floor.value_or(0))};
    for (const protocol::RouterBias& bias : wish.bias)
        out.biases.push_back(
            {bias.layer, bias.expert,
             bias.value ? static_cast<float>(*bias.value) : -std::numeric_limits<float>::infinity()});
    return out;
}

std::optional<protocol::RouterWish> routerWishOf(const model::RouterOptions& options) {
    if (options == model::RouterOptions{}) return std::nullopt;
    protocol::RouterWish out;
    if (options.temperature != 1) out.temperature = asWritten(options.temperature);
    if (options.active != 0) out.active = options.active;
    if (options.floor != 0) out.floor = asWritten(options.floor);
    out.bias.reserve(options.biases.size());
    for (const model::RouterOptions::Bias& bias : options.biases) {
        protocol::RouterBias& wish = out.bias.emplace_back();
        wish.layer = bias.layer;
        wish.expert = bias.expert;
        if (std::isfinite(bias.value)) wish.value = asWritten(bias.value);
    }
    return out;
}

void listModels(Context& context, const Request&, const Reply& reply) {
    std::vector<protocol::ModelRow> rows;
    for (const library::ModelEntry& entry : context.library.list())
        rows.push_back(rowOf(entry));
    for (protocol::ModelRow& adapter : adaptersAsModels(context))
        rows.push_back(std::move(adapter));
    reply.ok(protocol::modelList(rows));
}

void oneModel(Context& context, const Request& request, const Reply& reply) {
    const std::vector<library::ModelEntry> entries = context.library.list();
    const auto found =
        std::find_if(entries.begin(), entries.end(),
                     [&request](const library::ModelEntry& entry) { return entry.name == request.argument; });
    if (found != entries.end()) return reply.ok(protocol::modelObject(rowOf(*found)));
    for (const protocol::ModelRow& adapter : adaptersAsModels(context))
        if (request.argument == adapter.id || request.argument == adapter.parent + ":" + adapter.id)
            return reply.ok(protocol::modelObject(adapter));
    reply.fail(unknownModel(request.argument, entries));
}

void loadModel(Context& context, const Request& request, const Reply& reply) {
    const auto wish = protocol::readLoadRequest(request.body);
    if (!wish.ok()) return reply.fail(wish.error());
    onLoader(context, reply, [&context, wish = *wish, reply] { loadNow(context, wish, reply); });
}

void unloadModel(Context& context, const Request& request, const Reply& reply) {
    const auto unloaded = context.library.unload(request.argument);
    if (!unloaded.ok()) return reply.fail(unloaded.error());
    context.adapters.dropWithoutModel();
    reply.ok(protocol::modelUnloaded(request.argument));
}

}  // namespace conclave::engine::server
