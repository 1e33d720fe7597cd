// Adapters: what requests ask for, each caller's default, loading and taking them off.
#include <algorithm>
#include <boost/asio/post.hpp>
#include <optional>

#include "engine/protocol/lora.h"
#include "engine/protocol/models.h"
#include "engine/server/progress_writer.h"
#include "engine/server/routes.h"

namespace conclave::engine::server {
namespace {

using base::Code;
using base::Error;
using base::Result;
using library::ShelvedAdapter;
using Model = std::shared_ptr<const library::LoadedModel>;
using Uses = std::vector<protocol::LoraUse>;

bool isModel(Context& context, const std::string& name) {
    if (context.library.loaded(name) != nullptr) return true;
    const auto entries = context.library.list();
    return std::ranges::any_of(entries, [&](const auto& entry) { return entry.name == name; });
}

/// What the field `model` names: a model, "base:adapter", or an adapter of one base alone.
struct Named {
    std::string model, adapter;
};
Result<Named> namedBy(Context& context, const std::string& wanted) {
    if (wanted.empty() || context.library.loaded(wanted) != nullptr) return Named{wanted, {}};
    std::vector<std::string> bases;
    for (const ShelvedAdapter& entry : context.adapters.list())
        if (entry.adapter->name == wanted) bases.push_back(entry.model);
    if (bases.size() > 1)
        return Error{Code::BadArgument,
                     {},
                     "model",
                     {wanted + " is an adapter of several models; write one of them before it, as in " +
                      bases.front() + ":" + wanted}};
    if (bases.size() == 1) return Named{bases.front(), wanted};
    for (size_t colon = wanted.find(':'); colon != std::string::npos && colon + 1 < wanted.size();
         colon = wanted.find(':', colon + 1))
        if (isModel(context, wanted.substr(0, colon)))
            return Named{wanted.substr(0, colon), wanted.substr(colon + 1)};
    return Named{wanted, {}};
}

/// The request's own list before the caller's default, of which only what is made for this model counts.
Uses wishesOf(Context& context, const AdapterWish& wish, const Model& model, const std::string& named) {
    Uses out;
    if (!named.empty()) out.push_back({.id = {}, .name = named, .scale = 1});
    if (wish.lora) {
        out.insert(out.end(), wish.lora->begin(), wish.lora->end());
    } else if (named.empty()) {
        for (const protocol::LoraUse& use : context.loraDefaults.of(wish.owner)) {
            const auto entry = context.adapters.byId(*use.id);  // setLora gave it one
            if (entry.ok() && entry->adapter->base == model->model) out.push_back(use);
        }
    }
    return out;
}

Result<std::vector<library::AdapterUse>> resolve(Context& context, const Uses& wishes, const Model& model) {
    std::vector<library::AdapterUse> out;
    for (const protocol::LoraUse& wish : wishes) {
        CONCLAVE_TRY(const ShelvedAdapter entry,
                     wish.id ? context.adapters.byId(*wish.id) : context.adapters.get(wish.name, *model, {}));
        out.push_back({entry.adapter, static_cast<float>(wish.scale)});
    }
    return out;
}

protocol::AdapterRow rowOf(const ShelvedAdapter& entry, const Uses& defaults) {
    const library::LoadedAdapter& loaded = *entry.adapter;
    protocol::AdapterRow row;
    row.id = entry.id;
    row.name = loaded.name;
    row.model = entry.model;
    row.path = loaded.path;
    row.contentId = loaded.contentId;
    row.pairs = loaded.adapter->counts.pairs;
    row.matrices = loaded.adapter->counts.matrices;
    row.rank = loaded.adapter->mostRank;
    row.bytes = loaded.adapter->memory.size();
    row.invoked = !loaded.adapter->invocation.empty();
    for (const model::AdapterCounts::Layer& layer : loaded.adapter->counts.layers)
        row.layers.push_back({layer.layer, layer.matrices, layer.experts});
    for (const protocol::LoraUse& use : defaults)
        if (use.id == entry.id) row.scale = use.scale;
    return row;
}

std::vector<protocol::AdapterRow> rowsFor(Context& context, base::OwnerId owner) {
    std::vector<protocol::AdapterRow> rows;
    const Uses defaults = context.loraDefaults.of(owner);
    for (const ShelvedAdapter& entry : context.adapters.list())
        rows.push_back(rowOf(entry, defaults));
    return rows;
}

void loadNow(Context& context, const protocol::AdapterLoad& wish, const Model& model, const Reply& reply) {
    ProgressWriter progress(reply);
    const auto report = [&progress](const std::string& stage, uint64_t done, uint64_t total) {
        progress.report(stage, done, total);
    };
    const auto entry = wish.path.empty() ? context.adapters.get(wish.name, *model, report)
                                         : context.adapters.load(wish.path, wish.name, *model, report);
    if (!entry.ok()) return reply.fail(entry.error());
    progress.begin();
    reply.event(std::string(protocol::kReadyEvent),
                protocol::toText(protocol::LoadReady{entry->adapter->name, {}}));
    reply.end();
}

}  // namespace

void withAdapters(Context& context, AdapterWish wish, const Reply& reply, WithAdapters then) {
    const auto named = namedBy(context, wish.model);
    if (!named.ok()) return reply.fail(named.error());
    withModel(context, named->model, reply,
              [&context, wish = std::move(wish), adapter = named->adapter, reply,
               then = std::move(then)](const Model& model) {
                  const Uses wishes = wishesOf(context, wish, model, adapter);
                  const auto answer = [&context, wishes, model, reply, then] {
                      auto uses = resolve(context, wishes, model);
                      if (!uses.ok()) return reply.fail(uses.error());
                      then(model, std::move(*uses));
                  };
                  const bool ready = std::ranges::all_of(wishes, [&](const protocol::LoraUse& use) {
                      return use.id || context.adapters.loaded(use.name, *model);
                  });
                  if (ready) return answer();
                  onLoader(context, reply, answer);  // reads files
              });
}

void listLora(Context& context, const Request& request, const Reply& reply) {
    reply.ok(protocol::loraList(rowsFor(context, request.owner)));
}

void setLora(Context& context, const Request& request, const Reply& reply) {
    auto uses = protocol::readLoraDefaults(request.body);
    if (!uses.ok()) return reply.fail(uses.error());
    for (protocol::LoraUse& use : *uses) {
        const auto known = use.id ? context.adapters.byId(*use.id) : context.adapters.byName(use.name);
        if (!known.ok()) return reply.fail(known.error());
        use.id = known->id;
    }
    context.loraDefaults.set(request.owner, std::move(*uses));
    reply.ok(protocol::loraDefaultsSet());
}

void listAdapters(Context& context, const Request& request, const Reply& reply) {
    reply.ok(protocol::adapterList(rowsFor(context, request.owner)));
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
