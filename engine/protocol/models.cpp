#include "engine/protocol/models.h"

#include <limits>

#include "engine/protocol/errors.h"
#include "engine/protocol/fields.h"
#include "engine/protocol/query.h"

namespace conclave::engine::protocol {
namespace {

using base::Code;
using base::Error;

Error unexpected(const std::string& what) {
    return {Code::EngineProtocol, {}, {}, {what}};
}

/// The schema of OpenAI, root and parent as vLLM has them, and what only we know under a name of our own.
Json rowJson(const ModelRow& row) {
    return {{"id", row.id},
            {"object", "model"},
            {"created", row.createdUnix},
            {"owned_by", "conclave"},
            {"root", row.path},
            {"parent", row.parent.empty() ? Json(nullptr) : Json(row.parent)},
            {"conclave", {{"loaded", row.loaded}, {"path", row.path}, {"bytes", row.bytes}}}};
}

}  // namespace

std::string modelList(const std::vector<ModelRow>& rows) {
    Json data = Json::array();
    for (const ModelRow& row : rows)
        data.push_back(rowJson(row));
    return dump(Json{{"object", "list"}, {"data", std::move(data)}});
}

std::string modelObject(const ModelRow& row) {
    return dump(rowJson(row));
}

base::Result<std::vector<ModelRow>> readModelList(std::string_view body) {
    CONCLAVE_TRY(const Json json, parseBody(body));
    Fields fields(json);
    const Json* data = fields.array("data");
    if (data == nullptr) return unexpected("a list of models without data");
    std::vector<ModelRow> rows;
    for (const Json& item : *data) {
        if (!item.is_object()) return unexpected("a model that is no object");
        Fields outer(item);
        ModelRow row;
        row.id = outer.text("id").value_or("");
        row.createdUnix = outer.integer("created", 0, std::numeric_limits<int64_t>::max()).value_or(0);
        row.parent = outer.text("parent").value_or("");
        if (const Json* own = outer.object("conclave")) {
            Fields inner(*own);
            row.loaded = inner.boolean("loaded").value_or(false);
            row.path = inner.text("path").value_or("");
            row.bytes = static_cast<uint64_t>(
                inner.integer("bytes", 0, std::numeric_limits<int64_t>::max()).value_or(0));
        }
        rows.push_back(std::move(row));
    }
    return rows;
}

namespace {
constexpr std::string_view kSyntheticPath = "synth:";  // random weights instead of a file
}

base::Result<LoadRequest> readLoadRequest(std::string_view body) {
    CONCLAVE_TRY(const Json json, parseBody(body));
    Fields fields(json);
    LoadRequest out{fields.text("path", Fields::Empty::Refused).value_or(""),
                    fields.text("name", Fields::Empty::Refused).value_or(""), readRouter(fields)};
    if (fields.error()) return *fields.error();
    if (out.path.empty() && out.name.empty())
        return Error{Code::BadArgument,
                     {},
                     "path",
                     {"is missing; send the path of a model, or the name of an installed one"}};
    if (!out.path.empty() && out.path.front() != '/' && !out.path.starts_with(kSyntheticPath))
        return Error{Code::OutOfRange, {}, "path", {shown(Json(out.path)), "an absolute path"}};
    if (out.path.find('\0') != std::string::npos)
        return Error{Code::BadArgument, {}, "path", {"holds a zero byte; send a path without one"}};
    return out;
}

Json toJson(const LoadRequest& request) {
    Json body = Json::object();
    if (!request.path.empty()) body["path"] = request.path;
    if (!request.name.empty()) body["name"] = request.name;
    if (request.router) body["router"] = routerJson(*request.router);
    return body;
}

std::string toText(const LoadProgress& progress) {
    return dump(Json{{"stage", progress.stage}, {"done", progress.done}, {"total", progress.total}});
}

std::string toText(const LoadReady& ready) {
    return dump(Json{{"id", ready.id}, {"warnings", ready.warnings}});
}

base::Result<LoadEvent> readLoadEvent(std::string_view event, std::string_view data) {
    if (std::optional<Error> error = readError(data)) return LoadEvent(std::move(*error));
    auto parsed = parseBody(data);
    if (!parsed.ok()) return unexpected(base::render(parsed.error()));
    Fields fields(*parsed);
    if (event == kProgressEvent) {
        constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
        return LoadEvent(LoadProgress{fields.text("stage").value_or(""),
                                      static_cast<uint64_t>(fields.integer("done", 0, kMost).value_or(0)),
                                      static_cast<uint64_t>(fields.integer("total", 0, kMost).value_or(0))});
    }
    if (event != kReadyEvent) return unexpected("event " + std::string(event));
    LoadReady ready{fields.text("id").value_or(""), {}};
    if (const Json* warnings = fields.array("warnings"))
        for (const Json& warning : *warnings)
            if (warning.is_string()) ready.warnings.push_back(warning.get<std::string>());
    return LoadEvent(std::move(ready));
}

std::string modelTarget(std::string_view prefix, std::string_view id) {
    return std::string(prefix) + percentEncoded(id, "+");
}

std::string modelInTarget(std::string_view encoded) {
    return percentDecoded(encoded).value_or("");
}

std::string modelUnloaded(std::string_view id) {
    return dump(Json{{"id", id}, {"object", "model"}, {"deleted", true}});
}

}  // namespace conclave::engine::protocol
