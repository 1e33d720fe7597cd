#include "engine/protocol/tokenize.h"

#include "engine/protocol/token_ids.h"

namespace conclave::engine::protocol {
namespace {

/// Reads one member of an answer of ours.
base::Result<Json> member(std::string_view body, std::string_view name) {
    CONCLAVE_TRY(Json json, parseJson(body));
    if (!json.is_object() || !json.contains(name))
        return base::Error{
            base::Code::EngineProtocol, {}, {}, {"no " + std::string(name) + " in the answer"}};
    return json[std::string(name)];
}

}  // namespace

base::Result<TokenizeRequest> readTokenizeRequest(std::string_view body) {
    CONCLAVE_TRY(const Json json, parseBody(body));
    Fields fields(json);
    TokenizeRequest out;
    out.model = fields.text("model").value_or("");
    fields.require("content", "a string");
    out.content = fields.text("content").value_or("");
    out.addSpecial = fields.boolean("add_special").value_or(false);
    out.parseSpecial = fields.boolean("parse_special").value_or(false);
    if (fields.error()) return *fields.error();
    return out;
}

Json toJson(const TokenizeRequest& request) {
    Json body = {{"content", request.content},
                 {"add_special", request.addSpecial},
                 {"parse_special", request.parseSpecial}};
    if (!request.model.empty()) body["model"] = request.model;
    return body;
}

std::string tokensBody(const std::vector<base::TokenId>& tokens) {
    return dump(Json{{"tokens", tokenIdsJson(tokens)}});
}

base::Result<std::vector<base::TokenId>> readTokens(std::string_view body) {
    CONCLAVE_TRY(const Json tokens, member(body, "tokens"));
    if (!tokens.is_array()) return base::Error{base::Code::EngineProtocol, {}, {}, {"tokens is no array"}};
    Fields fields(tokens);
    std::vector<base::TokenId> ids = readTokenIds(tokens, "tokens", fields);
    if (fields.error()) return *fields.error();
    return ids;
}

base::Result<DetokenizeRequest> readDetokenizeRequest(std::string_view body) {
    CONCLAVE_TRY(const Json json, parseBody(body));
    Fields fields(json);
    DetokenizeRequest out;
    out.model = fields.text("model").value_or("");
    fields.require("tokens", "an array of token ids");
    if (const Json* tokens = fields.array("tokens")) out.tokens = readTokenIds(*tokens, "tokens", fields);
    if (fields.error()) return *fields.error();
    return out;
}

Json toJson(const DetokenizeRequest& request) {
    Json body = {{"tokens", tokenIdsJson(request.tokens)}};
    if (!request.model.empty()) body["model"] = request.model;
    return body;
}

std::string contentBody(std::string_view content) {
    return dump(Json{{"content", content}});
}

base::Result<std::string> readContent(std::string_view body) {
    CONCLAVE_TRY(const Json content, member(body, "content"));
    if (!content.is_string())
        return base::Error{base::Code::EngineProtocol, {}, {}, {"content is no string"}};
    return content.get<std::string>();
}

}  // namespace conclave::engine::protocol
