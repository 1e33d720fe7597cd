#include "engine/protocol/chat.h"

#include <algorithm>
#include <iterator>

namespace conclave::engine::protocol {
namespace {

constexpr std::string_view kRoles[] = {"system", "developer", "user", "assistant", "tool", "function"};
constexpr std::string_view kRoleMust = "one of system, developer, user, assistant, tool, function";

/// Variables of a template that belong to the engine. The special tokens are trusted text there, so a request
/// must not be able to set them.
constexpr std::string_view kReserved[] = {"messages",  "tools",     "bos_token",
                                          "eos_token", "unk_token", "pad_token"};

/// Joins text parts by newlines, as templates that know strings only need it (vLLM and llama.cpp do the
/// same).
std::optional<std::string> joinParts(const Json& parts, const std::string& path, Fields& fields) {
    std::string joined;
    for (size_t i = 0; i < parts.size(); ++i) {
        const std::string at = path + "[" + std::to_string(i) + "]";
        if (!parts[i].is_object()) {
            fields.refuseAt(at, parts[i], "an object with type and text");
            return std::nullopt;
        }
        Fields part(parts[i], at + ".");
        part.require("type", "\"text\"");
        const std::optional<std::string> type = part.text("type");
        if (type && *type != "text") part.refuse("type", "\"text\" (pictures and sound are not understood)");
        part.require("text", "a string");
        const std::optional<std::string> text = part.text("text");
        if (part.error()) {
            fields.fail(*part.error());
            return std::nullopt;
        }
        joined += (i == 0 ? "" : "\n") + text.value_or("");
    }
    return joined;
}

void checkToolCalls(const Json& calls, const std::string& path, Fields& fields) {
    for (size_t i = 0; i < calls.size(); ++i) {
        const std::string at = path + "[" + std::to_string(i) + "]";
        if (!calls[i].is_object()) {
            fields.refuseAt(at, calls[i], "an object with function");
            return;
        }
        Fields call(calls[i], at + ".");
        call.require("function", "an object with name and arguments");
        if (const Json* function = call.object("function")) {
            Fields inner(*function, at + ".function.");
            inner.require("name", "a string that is not empty");
            inner.text("name", Fields::Empty::Refused);
            const Json* arguments = inner.find("arguments");
            if (arguments != nullptr && !arguments->is_string() && !arguments->is_object())
                inner.refuse("arguments", "a string of JSON or an object");
            if (inner.error()) call.fail(*inner.error());
        }
        if (call.error()) fields.fail(*call.error());
    }
}

Json readMessage(const Json& given, const std::string& path, Fields& fields) {
    if (!given.is_object()) {
        fields.refuseAt(path, given, "an object with role and content");
        return Json();
    }
    Json message = given;
    Fields inner(given, path + ".");
    inner.require("role", std::string(kRoleMust));
    const std::optional<std::string> role = inner.text("role");
    if (role && std::find(std::begin(kRoles), std::end(kRoles), *role) == std::end(kRoles))
        inner.refuse("role", std::string(kRoleMust));
    if (role == "developer") message["role"] = "system";
    inner.text("name");
    inner.text("tool_call_id");
    const Json* calls = inner.array("tool_calls");
    if (calls != nullptr) checkToolCalls(*calls, path + ".tool_calls", inner);
    const Json* content = inner.find("content");
    if (content == nullptr && !(role == "assistant" && calls != nullptr))
        inner.require("content", "a string or an array of text parts");
    if (content != nullptr && content->is_array()) {
        if (std::optional<std::string> joined = joinParts(*content, path + ".content", inner))
            message["content"] = std::move(*joined);
    } else if (content != nullptr && !content->is_string()) {
        inner.refuse("content", "a string or an array of text parts");
    }
    if (inner.error()) fields.fail(*inner.error());
    return message;
}

void readTools(Fields& fields, ChatRequest& out) {
    const Json* tools = fields.array("tools");
    for (size_t i = 0; tools != nullptr && i < tools->size(); ++i)
        if (!(*tools)[i].is_object())
            fields.refuseAt("tools[" + std::to_string(i) + "]", (*tools)[i], "an object");
    const Json* choice = fields.find("tool_choice");
    const bool none = choice != nullptr && *choice == "none";
    if (choice != nullptr && !none && *choice != "auto")
        fields.refuse("tool_choice", "\"auto\" or \"none\" (a forced call is not offered by this version)");
    if (tools != nullptr && !tools->empty() && !none) out.tools = *tools;
}

void readTemplateOptions(Fields& fields, ChatRequest& out) {
    out.addGenerationPrompt = fields.boolean("add_generation_prompt").value_or(true);
    const Json* options = fields.object("chat_template_kwargs");
    if (options == nullptr) return;
    for (const std::string_view name : kReserved)
        if (options->contains(name))
            fields.fail({base::Code::BadArgument,
                         {},
                         "chat_template_kwargs." + std::string(name),
                         {"is set by the engine; leave it out"}});
    Fields inner(*options, "chat_template_kwargs.");
    out.addGenerationPrompt = inner.boolean("add_generation_prompt").value_or(out.addGenerationPrompt);
    if (inner.error()) fields.fail(*inner.error());
    out.templateOptions = *options;
    out.templateOptions.erase("add_generation_prompt");
}

void readLogprobs(Fields& fields, Generation& out) {
    constexpr int64_t kMostTop = 20;
    const bool wanted = fields.boolean("logprobs").value_or(false);
    const auto top = fields.integer("top_logprobs", 0, kMostTop);
    if (top > 0 && !wanted) fields.refuse("top_logprobs", "0 or absent unless logprobs is true");
    if (wanted) out.logprobs = static_cast<uint32_t>(top.value_or(0));
}

}  // namespace

base::Result<ChatRequest> readChatRequest(std::string_view body) {
    CONCLAVE_TRY(const Json json, parseBody(body));
    Fields fields(json);
    ChatRequest out;
    out.generation = readGeneration(fields);
    readLogprobs(fields, out.generation);
    fields.require("messages", "an array of messages");
    if (const Json* messages = fields.array("messages")) {
        if (messages->empty()) fields.refuse("messages", "an array of at least one message");
        for (size_t i = 0; i < messages->size(); ++i)
            out.messages.push_back(
                readMessage((*messages)[i], "messages[" + std::to_string(i) + "]", fields));
    }
    readTools(fields, out);
    readTemplateOptions(fields, out);
    if (fields.error()) return *fields.error();
    return out;
}

Json toJson(const ChatRequest& request) {
    Json body = Json::object();
    writeGeneration(request.generation, body);
    if (const auto& top = request.generation.logprobs) {
        body["logprobs"] = true;
        body["top_logprobs"] = *top;
    }
    body["messages"] = request.messages;
    if (!request.tools.is_null()) body["tools"] = request.tools;
    if (!request.templateOptions.empty()) body["chat_template_kwargs"] = request.templateOptions;
    if (!request.addGenerationPrompt) body["add_generation_prompt"] = false;
    return body;
}

Json chatMessage(std::string_view role, std::string_view content) {
    return Json{{"role", role}, {"content", content}};
}

}  // namespace conclave::engine::protocol
