#include "engine/server/routes.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <iterator>
#include <spdlog/spdlog.h>

#include "engine/protocol/models.h"

namespace conclave::engine::server {
namespace {

using base::Code;
using base::Error;

enum class Who : uint8_t { Anyone, EngineOwner };
enum class Where : uint8_t { Here, Worker };

struct Route {
    std::string_view method;
    std::string_view path;  ///< one that ends with '/' takes an argument
    Who who;
    Where where;
    void (*handle)(Context&, const Request&, const Reply&);
};

constexpr Route kRoutes[] = {
    {"GET", "/health", Who::Anyone, Where::Here, health},
    {"GET", "/metrics", Who::Anyone, Where::Worker, metrics},
    {"GET", "/v1/models", Who::Anyone, Where::Worker, listModels},
    {"GET", "/v1/models/", Who::Anyone, Where::Worker, oneModel},
    {"POST", "/v1/chat/completions", Who::Anyone, Where::Worker, chatCompletions},
    {"POST", "/v1/completions", Who::Anyone, Where::Worker, completions},
    {"POST", "/tokenize", Who::Anyone, Where::Worker, tokenize},
    {"POST", "/detokenize", Who::Anyone, Where::Worker, detokenize},
    {"GET", "/conclave/v1/engine", Who::Anyone, Where::Worker, engineInfo},
    {"GET", "/conclave/v1/sequences", Who::Anyone, Where::Worker, listSequences},
    {"GET", "/conclave/v1/experts", Who::Anyone, Where::Worker, experts},
    {"POST", "/conclave/v1/models", Who::EngineOwner, Where::Worker, loadModel},
    {"DELETE", "/conclave/v1/models/", Who::EngineOwner, Where::Worker, unloadModel},
    {"GET", "/lora-adapters", Who::Anyone, Where::Worker, listLora},
    {"POST", "/lora-adapters", Who::Anyone, Where::Worker, setLora},
    {"GET", "/conclave/v1/adapters", Who::Anyone, Where::Worker, listAdapters},
    {"GET", "/conclave/v1/adapters/", Who::Anyone, Where::Worker, oneAdapter},
    {"POST", "/conclave/v1/adapters", Who::EngineOwner, Where::Worker, loadAdapter},
    {"DELETE", "/conclave/v1/adapters/", Who::EngineOwner, Where::Worker, unloadAdapter},
    {"POST", "/conclave/v1/shutdown", Who::EngineOwner, Where::Here, shutDown},
};

bool takes(const Route& route, std::string_view path) {
    if (!route.path.ends_with('/')) return route.path == path;
    return path.starts_with(route.path) && path.size() > route.path.size();
}

bool isJson(std::string_view contentType) {
    std::string_view kind = contentType.substr(0, contentType.find(';'));
    while (kind.ends_with(' ') || kind.ends_with('\t'))
        kind.remove_suffix(1);
    std::string lower(kind);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return lower == "application/json" || lower.ends_with("+json");
}

/// Calls a handler; what it throws is our own fault or a lack of memory, and ends this request alone.
void guarded(const Reply& reply, const std::function<void()>& work) {
    try {
        work();
    } catch (const std::bad_alloc&) {
        reply.fail({Code::OutOfMemory, {}, "this request", {"allocation failed"}});
    } catch (const std::exception& exception) {
        spdlog::error("a handler failed: {}", exception.what());
        reply.fail({Code::Internal, {}, {}, {exception.what()}});
    }
}

}  // namespace

std::string allowedMethods(std::string_view path) {
    std::string allow;
    for (const Route& route : kRoutes) {
        if (!takes(route, path)) continue;
        allow += (allow.empty() ? "" : ", ") + std::string(route.method);
        if (route.method == "GET") allow += ", HEAD";
    }
    return allow;
}

void dispatch(Context& context, Request request, const Reply& reply) {
    const std::string_view method = request.method == "HEAD" ? std::string_view("GET") : request.method;
    const auto* route = std::find_if(std::begin(kRoutes), std::end(kRoutes), [&](const Route& row) {
        return row.method == method && takes(row, request.path);
    });
    if (route == std::end(kRoutes)) {
        const std::string allow = allowedMethods(request.path);
        if (allow.empty()) return reply.fail({Code::UnknownRoute, {}, request.path, {}});
        return reply.fail({Code::MethodNotAllowed, {}, request.path, {request.method, allow}});
    }
    if (route->who == Who::EngineOwner && request.owner != context.facts.owner)
        return reply.fail(
            {Code::NotAllowed, {}, request.path, {"only the user who runs this engine may do that"}});
    if (method == "POST" && !request.body.empty() && !isJson(request.contentType))
        return reply.onStrand([type = request.contentType](Exchange& exchange) {
            exchange.fail({Code::BadArgument,
                           {},
                           "Content-Type",
                           {(type.empty() ? "is missing" : "is " + type) + "; it must be application/json"}},
                          415);
        });
    if (route->path.ends_with('/'))
        request.argument = protocol::modelInTarget(std::string_view(request.path).substr(route->path.size()));
    if (route->where == Where::Here) return guarded(reply, [&] { route->handle(context, request, reply); });
    boost::asio::post(context.workers, [&context, route, request = std::move(request), reply] {
        guarded(reply, [&] { route->handle(context, request, reply); });
    });
}

void onLoader(Context& context, const Reply& reply, std::function<void()> work) {
    ++context.loads;
    boost::asio::post(context.loaders, [&context, reply, work = std::move(work)] {
        guarded(reply, work);
        --context.loads;
    });
}

std::string modelWithoutName(Context& context) {
    if (!context.facts.defaultModel.empty()) return context.facts.defaultModel;
    std::string only;
    for (const library::ModelEntry& entry : context.library.list()) {
        if (!entry.loaded) continue;
        if (!only.empty()) return {};
        only = entry.name;
    }
    return only;
}

void withModel(Context& context, const std::string& name, const Reply& reply, WithModel then) {
    const std::string wanted = name.empty() ? modelWithoutName(context) : name;
    if (auto model = wanted.empty() ? nullptr : context.library.loaded(wanted)) return then(model);
    onLoader(context, reply, [&context, wanted, reply, then = std::move(then)] {
        auto model = context.library.get(wanted);
        if (!model.ok()) return reply.fail(model.error());
        boost::asio::post(context.workers,
                          [model = *model, reply, then] { guarded(reply, [&] { then(model); }); });
    });
}

}  // namespace conclave::engine::server
