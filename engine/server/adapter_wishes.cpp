// The adapters of a request: those of its field `lora`, the one that its `model` names, or its caller's
// default.
#include <algorithm>
#include <optional>

#include "engine/server/adapter_names.h"
#include "engine/server/routes.h"

namespace conclave::engine::server {
namespace {

using base::Code;
using base::Error;
using base::Result;
using Model = std::shared_ptr<const library::LoadedModel>;
using Uses = std::vector<protocol::LoraUse>;

/// Of the caller's default what was made for this model. One that was taken off comes back where it is an
/// installed one; else it is an error, since an answer of the base alone would pass for an adapted one.
Result<Uses> defaultsFor(Context& context, base::OwnerId owner, const Model& model) {
    Uses out;
    for (const LoraDefault& use : context.loraDefaults.of(owner)) {
        if (const auto entry = context.adapters.byId(use.id); entry.ok()) {
            if (entry->base == model->model) out.push_back({.id = use.id, .name = {}, .scale = use.scale});
            continue;
        }
        if (use.model != model->name) continue;
        if (!use.installed)
            return Error{Code::BadArgument,
                         {},
                         "lora",
                         {"adapter " + use.name +
                          " is your default and has been unloaded; set another with POST /lora-adapters ([] "
                          "for none), "
                          "or send lora with the request"}};
        out.push_back({.id = {}, .name = use.name, .scale = use.scale});
    }
    return out;
}

/// The request's own list before the caller's default.
Result<Uses> wishesOf(Context& context, const AdapterWish& wish, const Model& model,
                      const std::string& named) {
    Uses out;
    if (!named.empty()) out.push_back({.id = {}, .name = named, .scale = 1});
    if (wish.lora)
        out.insert(out.end(), wish.lora->begin(), wish.lora->end());
    else if (named.empty())
        return defaultsFor(context, wish.owner, model);
    return out;
}

Result<std::vector<library::AdapterUse>> resolve(Context& context, const Uses& wishes, const Model& model) {
    std::vector<library::AdapterUse> out;
    for (const protocol::LoraUse& wish : wishes) {
        const auto held = wish.id ? context.adapters.get(*wish.id, *model, {})
                                  : context.adapters.get(wish.name, *model, {});
        // Those that hold the memory may be this request's own, and then no waiting helps.
        if (!held.ok() && held.error().code == Code::ServerBusy && !out.empty())
            return Error{
                Code::BadArgument,
                {},
                "lora",
                {"asks for " + std::to_string(wishes.size()) +
                 " adapters, which do not fit into --adapter-memory together with what other requests "
                 "hold; send fewer at once, or start the engine with more"}};
        if (!held.ok()) return held.error();
        out.push_back({held->adapter, static_cast<float>(wish.scale)});
    }
    return out;
}

}  // namespace

void withAdapters(Context& context, AdapterWish wish, const Reply& reply, WithAdapters then) {
    const auto named = namedBy(context, wish.model);
    if (!named.ok()) return reply.fail(named.error());
    withModel(context, named->model, reply,
              [&context, wish = std::move(wish), adapter = named->adapter, reply,
               then = std::move(then)](const Model& model) {
                  const auto wishes = wishesOf(context, wish, model, adapter);
                  if (!wishes.ok()) return reply.fail(wishes.error());
                  const auto answer = [&context, wishes = *wishes, model, reply, then] {
                      auto uses = resolve(context, wishes, model);
                      if (!uses.ok()) return reply.fail(uses.error());
                      then(model, std::move(*uses));
                  };
                  const bool ready = std::ranges::all_of(*wishes, [&](const protocol::LoraUse& use) {
                      return use.id ? context.adapters.ready(*use.id)
                                    : context.adapters.ready(use.name, *model);
                  });
                  if (ready) return answer();
                  onLoader(context, reply, answer);  // reads files
              });
}

}  // namespace conclave::engine::server
