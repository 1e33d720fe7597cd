#include "engine/protocol/answer.h"

#include "engine/protocol/errors.h"
#include "engine/protocol/json.h"

namespace conclave::engine::protocol {
namespace {

bool isChat(const AnswerHead& head) {
    return head.kind == AnswerKind::Chat;
}

Json envelope(const AnswerHead& head, std::string_view object) {
    Json out = {{"id", head.id}, {"object", object}, {"created", head.createdUnix}, {"model", head.model}};
    if (!head.fingerprint.empty()) out["system_fingerprint"] = head.fingerprint;
    return out;
}

Json logprobsOf(const AnswerHead& head, const ChoicePart& part) {
    return isChat(head) ? chatLogprobs(part.scores) : completionLogprobs(part.scores);
}

/// What both kinds of chunk share: one choice, whose text lies in a delta for chat and in "text" for
/// completions.
std::string chunk(const AnswerHead& head, Json delta, const ChoicePart& part, const Json& finish) {
    Json choice = {{"index", part.index}};
    if (isChat(head))
        choice["delta"] = std::move(delta);
    else
        choice["text"] = part.text;
    choice["logprobs"] = logprobsOf(head, part);
    choice["finish_reason"] = finish;
    Json out = envelope(head, isChat(head) ? "chat.completion.chunk" : "text_completion");
    out["choices"] = Json::array({std::move(choice)});
    if (head.includeUsage) out["usage"] = nullptr;
    return dump(out);
}

Json usageJson(const Usage& usage) {
    return {{"prompt_tokens", usage.promptTokens},
            {"completion_tokens", usage.completionTokens},
            {"total_tokens", uint64_t{usage.promptTokens} + usage.completionTokens},
            {"prompt_tokens_details", {{"cached_tokens", usage.cachedTokens}}}};
}

base::Error unexpected(const std::string& what) {
    return {base::Code::EngineProtocol, {}, {}, {what}};
}

uint32_t count(const Json& object, const char* name) {
    const auto at = object.find(name);
    return at != object.end() && at->is_number_unsigned() ? at->get<uint32_t>() : 0;
}

std::string textOf(const Json& object, const char* name) {
    const auto at = object.find(name);
    return at != object.end() && at->is_string() ? at->get<std::string>() : std::string();
}

}  // namespace

std::string_view name(Finish finish) {
    return finish == Finish::Stop ? "stop" : "length";
}

std::string roleChunk(const AnswerHead& head, uint32_t index) {
    return chunk(head, {{"role", "assistant"}, {"content", ""}}, {.text = {}, .index = index}, nullptr);
}

std::string textChunk(const AnswerHead& head, const ChoicePart& part) {
    return chunk(head, {{"content", part.text}}, part, nullptr);
}

std::string finishChunk(const AnswerHead& head, Finish finish, const ChoicePart& part) {
    return chunk(head, Json::object(), part, Json(name(finish)));
}

std::string usageChunk(const AnswerHead& head, const Usage& usage) {
    Json out = envelope(head, isChat(head) ? "chat.completion.chunk" : "text_completion");
    out["choices"] = Json::array();
    out["usage"] = usageJson(usage);
    return dump(out);
}

std::string wholeAnswer(const AnswerHead& head, std::span<const WholeChoice> choices, const Usage& usage) {
    Json list = Json::array();
    for (const WholeChoice& whole : choices) {
        Json choice = {{"index", whole.part.index}};
        if (isChat(head))
            choice["message"] = {{"role", "assistant"}, {"content", whole.part.text}, {"refusal", nullptr}};
        else
            choice["text"] = whole.part.text;
        choice["logprobs"] = logprobsOf(head, whole.part);
        choice["finish_reason"] = name(whole.finish);
        list.push_back(std::move(choice));
    }
    Json out = envelope(head, isChat(head) ? "chat.completion" : "text_completion");
    out["choices"] = std::move(list);
    out["usage"] = usageJson(usage);
    return dump(out);
}

base::Result<AnswerPiece> readAnswer(std::string_view json) {
    auto parsed = parseJson(json);
    if (!parsed.ok()) return unexpected(base::render(parsed.error()));
    const Json& body = *parsed;
    if (std::optional<base::Error> error = errorIn(body)) return std::move(*error);
    if (!body.is_object() || !body.contains("choices") || !body["choices"].is_array())
        return unexpected("an answer without choices");
    AnswerPiece piece;
    piece.id = textOf(body, "id");
    piece.model = textOf(body, "model");
    for (const Json& choice : body["choices"]) {
        if (!choice.is_object()) return unexpected("a choice that is no object");
        if (count(choice, "index") != 0) continue;
        piece.finish = textOf(choice, "finish_reason");
        if (choice.contains("delta"))
            piece.text += textOf(choice["delta"], "content");
        else if (choice.contains("message"))
            piece.text += textOf(choice["message"], "content");
        else
            piece.text += textOf(choice, "text");
    }
    if (const auto usage = body.find("usage"); usage != body.end() && usage->is_object()) {
        const auto details = usage->find("prompt_tokens_details");
        piece.usage = Usage{count(*usage, "prompt_tokens"), count(*usage, "completion_tokens"),
                            details != usage->end() ? count(*details, "cached_tokens") : 0};
    }
    return piece;
}

}  // namespace conclave::engine::protocol
