#include "engine/protocol/errors.h"

#include <algorithm>
#include <iterator>

namespace conclave::engine::protocol {
namespace {

using base::Code;

struct StatusRow {
    Code code;
    int status;
};

/// Every other code is 400: the request, or the file it names, is what has to change.
constexpr StatusRow kStatus[] = {
    {Code::UnknownModel, 404},     {Code::UnknownAdapter, 404},   {Code::UnknownRoute, 404},
    {Code::MethodNotAllowed, 405}, {Code::NotAllowed, 403},       {Code::ModelNameTaken, 409},
    {Code::BodyTooLarge, 413},     {Code::ServerBusy, 503},       {Code::ShuttingDown, 503},
    {Code::ModelChanged, 409},     {Code::OutOfMemory, 503},      {Code::Cancelled, 503},
    {Code::InvalidNumbers, 500},   {Code::SystemCallFailed, 500}, {Code::FileWriteFailed, 500},
    {Code::Internal, 500},
};

std::string_view typeOf(int status) {
    if (status == 403) return "permission_error";
    return status >= 500 ? "server_error" : "invalid_request_error";
}

std::optional<Code> codeFromName(std::string_view name) {
    for (int i = 0; i <= static_cast<int>(Code::Internal); ++i)
        if (base::codeName(static_cast<Code>(i)) == name) return static_cast<Code>(i);
    return std::nullopt;
}

std::string textOf(const Json& object, const char* name) {
    const auto at = object.find(name);
    return at != object.end() && at->is_string() ? at->get<std::string>() : std::string();
}

}  // namespace

int httpStatus(base::Code code) {
    const auto* row = std::find_if(std::begin(kStatus), std::end(kStatus),
                                   [code](const StatusRow& entry) { return entry.code == code; });
    return row == std::end(kStatus) ? 400 : row->status;
}

std::string errorBody(const base::Error& error) {
    Json inner = {{"message", base::render(error)}, {"type", typeOf(httpStatus(error.code))}};
    inner["param"] = error.field.empty() ? Json(nullptr) : Json(error.field);
    inner["code"] = base::codeName(error.code);
    if (!error.file.empty()) inner["file"] = error.file;
    if (!error.args.empty()) inner["args"] = error.args;
    return dump(Json{{"error", std::move(inner)}});
}

std::optional<base::Error> errorIn(const Json& body) {
    if (!body.is_object() || !body.contains("error")) return std::nullopt;
    const Json& inner = body["error"];
    if (inner.is_string()) return base::Error{Code::EngineProtocol, {}, {}, {inner.get<std::string>()}};
    if (!inner.is_object()) return std::nullopt;
    const std::string message = textOf(inner, "message");
    base::Error error{codeFromName(textOf(inner, "code")).value_or(Code::EngineProtocol),
                      textOf(inner, "file"),
                      textOf(inner, "param"),
                      {}};
    if (const auto args = inner.find("args"); args != inner.end() && args->is_array())
        for (const Json& arg : *args)
            if (arg.is_string()) error.args.push_back(arg.get<std::string>());
    // An engine of another version may say something else under the same code: its own words count.
    if (base::render(error) != message) return base::Error{Code::EngineProtocol, {}, {}, {message}};
    return error;
}

std::optional<base::Error> readError(std::string_view body) {
    const auto json = parseJson(body);
    return json.ok() ? errorIn(*json) : std::nullopt;
}

}  // namespace conclave::engine::protocol
