// What the engine says of itself.
#include <unistd.h>

#include "engine/protocol/engine_info.h"
#include "engine/protocol/priority.h"
#include "engine/server/routes.h"

namespace conclave::engine::server {
namespace {

std::string_view nameOf(scheduler::SequenceInfo::State state) {
    constexpr std::string_view kNames[] = {"waiting", "prefill", "decode"};
    return kNames[static_cast<size_t>(state)];
}

protocol::LoadedRow rowOf(const Context& context, const library::LoadedModel& model) {
    return {.id = model.name,
            .path = model.path,
            .architecture = model.model->config.sourceArchitecture,
            .contentId = model.contentId,
            .numericsId = model.model->numericsId,
            .context = context.scheduler.contextOf(model),
            .chat = model.chatTemplate != nullptr,
            .warnings = model.warnings,
            .router = routerWishOf(model.router)};
}

}  // namespace

void engineInfo(Context& context, const Request&, const Reply& reply) {
    const Facts& facts = context.facts;
    protocol::EngineInfo info;
    info.version = facts.version;
    info.protocol = protocol::kProtocol;
    info.pid = ::getpid();
    info.startedUnix = facts.startedUnix;
    info.socket = facts.socketPath;
    info.threads = context.scheduler.threads();
    info.kernels = facts.kernels;
    info.activations = facts.activations;
    info.kv = facts.kv;
    info.adapterBytes = context.adapters.stats().budget;
    info.kvBytes = context.scheduler.kvBytes();
    info.defaultModel = facts.defaultModel;
    for (const library::ModelEntry& entry : context.library.list())
        if (const auto model = entry.loaded ? context.library.loaded(entry.name) : nullptr)
            info.models.push_back(rowOf(context, *model));
    info.requests = context.requests - 1;  // without this one
    info.limits = {facts.limits.headerBytes, facts.limits.bodyBytes, facts.limits.connections,
                   facts.limits.queuedBytes};
    reply.ok(protocol::toText(info));
}

void listSequences(Context& context, const Request& request, const Reply& reply) {
    std::vector<protocol::SequenceRow> rows;
    for (const scheduler::SequenceInfo& sequence : context.scheduler.sequences(request.owner))
        rows.push_back({.id = base::toInt(sequence.id),
                        .model = sequence.model,
                        .priority = std::string(protocol::nameOf(sequence.priority)),
                        .state = std::string(nameOf(sequence.state)),
                        .promptTokens = sequence.promptTokens,
                        .doneTokens = sequence.doneTokens,
                        .generatedTokens = sequence.generatedTokens});
    reply.ok(protocol::toText(rows));
}

void health(Context&, const Request&, const Reply& reply) {
    reply.ok(protocol::healthBody());
}

void shutDown(Context& context, const Request&, const Reply& reply) {
    reply.ok(protocol::shutdownBody());
    reply.onStrand([&context](Exchange&) { context.shutDown(); });
}

}  // namespace conclave::engine::server
