#pragma once

#include <atomic>
#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/ids.h"
#include "engine/library/adapter_shelf.h"
#include "engine/library/library.h"
#include "engine/protocol/lora.h"
#include "engine/protocol/router.h"
#include "engine/scheduler/scheduler.h"
#include "engine/server/exchange.h"
#include "engine/server/lora_defaults.h"
#include "engine/server/server.h"
#include "engine/server/traffic.h"

namespace conclave::engine::server {

/// A request, read whole.
struct Request {
    std::string method, path;
    std::string query;  ///< of its target, still encoded
    std::string contentType;
    std::string body;
    std::string argument;  ///< what stood for the {id} of the route
    base::OwnerId owner{};
};

/// What handlers work with. Outlives every handler.
struct Context {
    Context(const Facts& f, library::Library& l, scheduler::Scheduler& s, uint64_t adapterBytes)
        : facts(f), library(l), adapters(l, {adapterBytes, {}}), scheduler(s) {}

    const Facts& facts;
    library::Library& library;
    library::AdapterShelf adapters;
    LoraDefaults loraDefaults;
    scheduler::Scheduler& scheduler;
    boost::asio::thread_pool workers{2};  ///< templates, tokens, JSON: short work
    boost::asio::thread_pool loaders{4};  ///< models: minutes
    std::atomic<uint64_t> requests{0};    ///< being answered
    std::atomic<uint64_t> exchanges{0};   ///< answers that somebody still holds
    std::atomic<uint64_t> loads{0};       ///< running on a loader
    std::atomic<uint64_t> open{0};        ///< connections
    Traffic traffic;
    std::function<void()> shutDown;
};

/// Finds the route and lets its handler answer, on a worker where it takes time. Unknown paths, wrong
/// methods, bodies that are not JSON and calls that only the engine's owner may make are refused here.
void dispatch(Context& context, Request request, const Reply& reply);

/// The methods that a path takes, as the Allow header lists them; empty where there is no such path.
std::string allowedMethods(std::string_view path);

/// Runs `work` on a loader thread, counted, with what it throws turned into an answer.
void onLoader(Context& context, const Reply& reply, std::function<void()> work);

/// The model that a request without a name means: the default, or the only one that is loaded. Empty where
/// there is none.
std::string modelWithoutName(Context& context);

/// Runs `then` with the model of that name, loading it first where it is only installed. Called on a worker;
/// `then` runs on a worker.
using WithModel = std::function<void(const std::shared_ptr<const library::LoadedModel>& model)>;
void withModel(Context& context, const std::string& name, const Reply& reply, WithModel then);

/// The same for what an answer needs: the model, and the adapters that the request asks for by its fields
/// `model` and `lora`, or the caller's default; those that are not in memory are loaded first.
using WithAdapters = std::function<void(const std::shared_ptr<const library::LoadedModel>& model,
                                        std::vector<library::AdapterUse> adapters)>;
struct AdapterWish {
    std::string model;                                   ///< the field `model`
    std::optional<std::vector<protocol::LoraUse>> lora;  ///< the field `lora`
    base::OwnerId owner{};
};
void withAdapters(Context& context, AdapterWish wish, const Reply& reply, WithAdapters then);

/// What a field `router` asks of the model's routers; nothing is checked yet.
model::RouterOptions routerOf(const protocol::RouterWish& wish);
/// Nothing where all is as trained.
std::optional<protocol::RouterWish> routerWishOf(const model::RouterOptions& options);

// The handlers, one file for each group.
void chatCompletions(Context& context, const Request& request, const Reply& reply);
void completions(Context& context, const Request& request, const Reply& reply);
void tokenize(Context& context, const Request& request, const Reply& reply);
void detokenize(Context& context, const Request& request, const Reply& reply);
void listModels(Context& context, const Request& request, const Reply& reply);
void oneModel(Context& context, const Request& request, const Reply& reply);
void loadModel(Context& context, const Request& request, const Reply& reply);
void unloadModel(Context& context, const Request& request, const Reply& reply);
void listLora(Context& context, const Request& request, const Reply& reply);
void setLora(Context& context, const Request& request, const Reply& reply);
void listAdapters(Context& context, const Request& request, const Reply& reply);
void oneAdapter(Context& context, const Request& request, const Reply& reply);
void loadAdapter(Context& context, const Request& request, const Reply& reply);
void unloadAdapter(Context& context, const Request& request, const Reply& reply);
void engineInfo(Context& context, const Request& request, const Reply& reply);
void listSequences(Context& context, const Request& request, const Reply& reply);
void metrics(Context& context, const Request& request, const Reply& reply);
void experts(Context& context, const Request& request, const Reply& reply);
void health(Context& context, const Request& request, const Reply& reply);
void shutDown(Context& context, const Request& request, const Reply& reply);

}  // namespace conclave::engine::server
