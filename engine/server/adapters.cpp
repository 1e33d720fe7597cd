// The adapters on the shelf: lists, each caller's default, loading and taking them off.
#include "engine/protocol/lora.h"
#include "engine/protocol/models.h"
#include "engine/server/adapter_names.h"
#include "engine/server/progress_writer.h"
#include "engine/server/routes.h"

namespace conclave::engine::server {
namespace {

using library::ShelvedAdapter;
using Model = std::shared_ptr<const library::LoadedModel>;
using Defaults = std::vector<LoraDefault>;

/// What the row has of the adapter's own facts.
protocol::AdapterRow rowOf(const library::AdapterFacts& facts) {
    protocol::AdapterRow row;
    row.pairs = facts.counts.pairs;
    row.matrices = facts.counts.matrices;
    row.rank = facts.ranks.empty() ? 0 : facts.ranks.back();
    row.invoked = !facts.invocation.empty();
    for (const model::AdapterCounts::Layer& layer : facts.counts.layers)
        row.layers.push_back({layer.layer, layer.matrices, layer.experts});
    return row;
}

protocol::AdapterRow rowOf(const ShelvedAdapter& entry, const Defaults& defaults) {
    protocol::AdapterRow row = rowOf(*entry.facts);
    row.id = entry.id;
    row.name = entry.name;
    row.model = entry.model;
    row.path = entry.path;
    row.contentId = entry.contentId;
    row.bytes = entry.loaded ? entry.facts->bytes : 0;
    row.loaded = entry.loaded;
    row.users = entry.users;
    row.loadedAtUnix = entry.loadedAtUnix;
    row.lastUsedUnix = entry.lastUsedUnix;
    for (const LoraDefault& use : defaults)
        if (use.id == entry.id ||
            (use.installed && entry.installed && use.name == entry.name && use.model == entry.model))
            row.scale = use.scale;
    return row;
}

protocol::AdapterDetails detailsOf(protocol::AdapterRow row, const library::AdapterFacts& facts) {
    return {.row = std::move(row),
            .format = facts.format,
            .trainedOn = facts.baseName,
            .alpha = facts.alpha,
            .rankStabilised = facts.rankStabilised,
            .ranks = facts.ranks,
            .targets = facts.targets,
            .invocation = facts.invocation};
}

/// What the files of an adapter say that no request has named so far.
base::Result<protocol::AdapterDetails> described(const protocol::AdapterListing::Installed& adapter) {
    CONCLAVE_TRY(const library::AdapterFacts facts, library::factsAt(adapter.path));
    protocol::AdapterRow row = rowOf(facts);
    row.name = adapter.name;
    row.model = adapter.model;
    row.path = adapter.path;
    row.loaded = false;
    return detailsOf(std::move(row), facts);
}

std::vector<protocol::AdapterRow> rowsFor(Context& context, base::OwnerId owner) {
    std::vector<protocol::AdapterRow> rows;
    const Defaults defaults = context.loraDefaults.of(owner);
    for (const ShelvedAdapter& entry : context.adapters.list())
        rows.push_back(rowOf(entry, defaults));
    return rows;
}

void loadNow(Context& context, const protocol::AdapterLoad& wish, const Model& model, const Reply& reply) {
    ProgressWriter progress(reply);
    const auto report = [&progress](const std::string& stage, uint64_t done, uint64_t total) {
        progress.report(stage, done, total);
    };
    const auto held = wish.path.empty() ? context.adapters.get(wish.name, *model, report)
                                        : context.adapters.load(wish.path, wish.name, *model, report);
    if (!held.ok()) return reply.fail(held.error());
    progress.begin();
    reply.event(std::string(protocol::kReadyEvent),
                protocol::toText(protocol::LoadReady{
                    held->adapter->name,
                    library::warningsOf(held->adapter->name, held->adapter->facts->changesNothing)}));
    reply.end();
}

/// With every name that would have been known.
base::Error unknownAdapter(Context& context, const std::string& name) {
    std::string known;
    const auto add = [&known](const std::string& one) { known += (known.empty() ? "" : ", ") + one; };
    for (const ShelvedAdapter& entry : context.adapters.list())
        add(entry.name);
    for (const protocol::AdapterListing::Installed& adapter : adaptersToLoad(context))
        add(adapter.name);
    return {base::Code::UnknownAdapter, {}, {}, {name, known.empty() ? "none" : known}};
}

}  // namespace

void listLora(Context& context, const Request& request, const Reply& reply) {
    reply.ok(protocol::loraList(rowsFor(context, request.owner)));
}

void setLora(Context& context, const Request& request, const Reply& reply) {
    const auto uses = protocol::readLoraDefaults(request.body);
    if (!uses.ok()) return reply.fail(uses.error());
    Defaults defaults;
    for (const protocol::LoraUse& use : *uses) {
        const auto known = use.id ? context.adapters.byId(*use.id) : context.adapters.byName(use.name);
        if (!known.ok()) return reply.fail(known.error());
        defaults.push_back({known->id, known->name, known->model, known->installed, use.scale});
    }
    context.loraDefaults.set(request.owner, std::move(defaults));
    reply.ok(protocol::loraDefaultsSet());
}

void listAdapters(Context& context, const Request& request, const Reply& reply) {
    const library::AdapterShelf::Stats stats = context.adapters.stats();
    reply.ok(protocol::adapterList(
        {rowsFor(context, request.owner), adaptersToLoad(context), stats.bytes, stats.budget}));
}

void oneAdapter(Context& context, const Request& request, const Reply& reply) {
    const auto entry = context.adapters.byName(request.argument);
    if (!entry.ok()) {
        const auto installed = adapterToLoad(context, request.argument);
        if (!installed) return reply.fail(unknownAdapter(context, request.argument));
        const auto details = described(*installed);
        return details.ok() ? reply.ok(protocol::adapterDetails(*details)) : reply.fail(details.error());
    }
    reply.ok(protocol::adapterDetails(
        detailsOf(rowOf(*entry, context.loraDefaults.of(request.owner)), *entry->facts)));
}

void loadAdapter(Context& context, const Request& request, const Reply& reply) {
    const auto wish = protocol::readAdapterLoad(request.body);
    if (!wish.ok()) return reply.fail(wish.error());
    withModel(context, wish->model, reply, [&context, wish = *wish, reply](const Model& model) {
        onLoader(context, reply, [&context, wish, model, reply] { loadNow(context, wish, model, reply); });
    });
}

void unloadAdapter(Context& context, const Request& request, const Reply& reply) {
    const auto unloaded = context.adapters.unload(request.argument);
    if (!unloaded.ok()) return reply.fail(unloaded.error());
    reply.ok(protocol::adapterUnloaded(request.argument));
}

}  // namespace conclave::engine::server
