#include "engine/protocol/engine_info.h"

#include "engine/protocol/counts.h"
#include "engine/protocol/fields.h"

namespace conclave::engine::protocol {
namespace {

base::Error unexpected(const std::string& what) {
    return {base::Code::EngineProtocol, {}, {}, {what}};
}

std::string text(Fields& fields, std::string_view name) {
    return fields.text(name).value_or("");
}

Json rowJson(const LoadedRow& row) {
    return {{"id", row.id},
            {"path", row.path},
            {"architecture", row.architecture},
            {"content_id", row.contentId},
            {"numerics_id", row.numericsId},
            {"context", row.context},
            {"chat", row.chat},
            {"router", row.router ? routerJson(*row.router) : Json(nullptr)},
            {"warnings", row.warnings}};
}

LoadedRow readRow(const Json& json) {
    Fields fields(json);
    LoadedRow row{.id = text(fields, "id"),
                  .path = text(fields, "path"),
                  .architecture = text(fields, "architecture"),
                  .contentId = text(fields, "content_id"),
                  .numericsId = text(fields, "numerics_id"),
                  .context = count32(fields, "context"),
                  .chat = fields.boolean("chat").value_or(false),
                  .warnings = {},
                  .router = readRouter(fields)};
    if (const Json* warnings = fields.array("warnings"))
        for (const Json& warning : *warnings)
            if (warning.is_string()) row.warnings.push_back(warning.get<std::string>());
    return row;
}

}  // namespace

std::string toText(const EngineInfo& info) {
    Json models = Json::array();
    for (const LoadedRow& row : info.models)
        models.push_back(rowJson(row));
    return dump(Json{{"version", info.version},
                     {"protocol", info.protocol},
                     {"pid", info.pid},
                     {"started", info.startedUnix},
                     {"socket", info.socket},
                     {"threads", info.threads},
                     {"kernels", info.kernels},
                     {"activations", info.activations},
                     {"kv", info.kv},
                     {"kv_memory", info.kvBytes},
                     {"adapter_memory", info.adapterBytes},
                     {"default_model", info.defaultModel},
                     {"models", std::move(models)},
                     {"requests", info.requests},
                     {"limits",
                      {{"header_bytes", info.limits.headerBytes},
                       {"body_bytes", info.limits.bodyBytes},
                       {"connections", info.limits.connections},
                       {"queued_bytes", info.limits.queuedBytes}}}});
}

base::Result<EngineInfo> readEngineInfo(std::string_view body) {
    const auto parsed = parseBody(body);
    if (!parsed.ok()) return unexpected(base::render(parsed.error()));
    Fields fields(*parsed);
    EngineInfo info{.version = text(fields, "version"),
                    .protocol = static_cast<int>(fields.integer("protocol", 0, 1'000'000).value_or(0)),
                    .pid = static_cast<int64_t>(count(fields, "pid")),
                    .startedUnix = static_cast<int64_t>(count(fields, "started")),
                    .socket = text(fields, "socket"),
                    .threads = count(fields, "threads"),
                    .kernels = text(fields, "kernels"),
                    .activations = text(fields, "activations"),
                    .kv = text(fields, "kv"),
                    .adapterBytes = count(fields, "adapter_memory"),
                    .kvBytes = count(fields, "kv_memory"),
                    .defaultModel = text(fields, "default_model"),
                    .models = {},
                    .requests = count(fields, "requests"),
                    .limits = {}};
    if (const Json* models = fields.array("models"))
        for (const Json& model : *models)
            if (model.is_object()) info.models.push_back(readRow(model));
    if (const Json* limits = fields.object("limits")) {
        Fields inner(*limits);
        info.limits = {count(inner, "header_bytes"), count(inner, "body_bytes"), count(inner, "connections"),
                       count(inner, "queued_bytes")};
    }
    if (info.protocol == 0) return unexpected("no protocol number; something else listens on this socket");
    return info;
}

std::string toText(const std::vector<SequenceRow>& rows) {
    Json data = Json::array();
    for (const SequenceRow& row : rows)
        data.push_back({{"id", row.id},
                        {"model", row.model},
                        {"priority", row.priority},
                        {"state", row.state},
                        {"prompt_tokens", row.promptTokens},
                        {"done_tokens", row.doneTokens},
                        {"generated_tokens", row.generatedTokens}});
    return dump(Json{{"object", "list"}, {"data", std::move(data)}});
}

base::Result<std::vector<SequenceRow>> readSequences(std::string_view body) {
    CONCLAVE_TRY(const Json json, parseBody(body));
    Fields outer(json);
    const Json* data = outer.array("data");
    if (data == nullptr) return unexpected("a list of sequences without data");
    std::vector<SequenceRow> rows;
    for (const Json& item : *data) {
        if (!item.is_object()) return unexpected("a sequence that is no object");
        Fields fields(item);
        rows.push_back({.id = count(fields, "id"),
                        .model = text(fields, "model"),
                        .priority = text(fields, "priority"),
                        .state = text(fields, "state"),
                        .promptTokens = count32(fields, "prompt_tokens"),
                        .doneTokens = count32(fields, "done_tokens"),
                        .generatedTokens = count32(fields, "generated_tokens")});
    }
    return rows;
}

std::string healthBody() {
    return dump(Json{{"status", "ok"}});
}
std::string shutdownBody() {
    return dump(Json{{"status", "shutting down"}});
}

}  // namespace conclave::engine::protocol
