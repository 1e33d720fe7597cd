#include "engine/protocol/completion.h"

#include "engine/protocol/token_ids.h"

namespace conclave::engine::protocol {
namespace {

constexpr std::string_view kPromptMust = "a string, or an array of token ids";

void readPrompt(Fields& fields, CompletionRequest& out) {
    fields.require("prompt", std::string(kPromptMust));
    const Json* prompt = fields.find("prompt");
    if (prompt == nullptr) return;
    std::string path = "prompt";
    // The schema also allows a list of prompts: a list of one is that one.
    if (prompt->is_array() && !prompt->empty() && !prompt->front().is_number()) {
        if (prompt->size() > 1) {
            fields.fail(
                {base::Code::BadArgument,
                 {},
                 "prompt",
                 {"holds " + std::to_string(prompt->size()) +
                  " prompts; send one prompt in a request (several are not offered by this version)"}});
            return;
        }
        prompt = &prompt->front();
        path += "[0]";
    }
    if (prompt->is_string())
        out.prompt = prompt->get<std::string>();
    else if (prompt->is_array() && !prompt->empty())
        out.prompt = readTokenIds(*prompt, path, fields);
    else
        fields.refuseAt(path, *prompt, std::string(kPromptMust));
}

void readLogprobs(Fields& fields, CompletionRequest& out) {
    constexpr int64_t kMostTop = 5;
    const Json* value = fields.find("logprobs");
    if (value == nullptr || *value == false) return;
    if (const auto top = fields.integer("logprobs", 0, kMostTop))
        out.generation.logprobs = static_cast<uint32_t>(*top);
    if (out.echo)
        fields.refuse("logprobs",
                      "absent where echo is true (those of the prompt are not offered by this version)");
}

}  // namespace

base::Result<CompletionRequest> readCompletionRequest(std::string_view body) {
    CONCLAVE_TRY(const Json json, parseBody(body));
    Fields fields(json);
    CompletionRequest out;
    out.generation = readGeneration(fields);
    readPrompt(fields, out);
    out.echo = fields.boolean("echo").value_or(false);
    readLogprobs(fields, out);
    out.addSpecial = fields.boolean("add_special").value_or(true);
    out.parseSpecial = fields.boolean("parse_special").value_or(true);
    if (!fields.text("suffix").value_or("").empty())
        fields.refuse("suffix", "absent (filling in the middle is not offered here by this version)");
    if (fields.error()) return *fields.error();
    return out;
}

Json toJson(const CompletionRequest& request) {
    Json body = Json::object();
    writeGeneration(request.generation, body);
    if (const auto* text = std::get_if<std::string>(&request.prompt))
        body["prompt"] = *text;
    else
        body["prompt"] = tokenIdsJson(std::get<std::vector<base::TokenId>>(request.prompt));
    if (request.generation.logprobs) body["logprobs"] = *request.generation.logprobs;
    if (request.echo) body["echo"] = true;
    if (!request.addSpecial) body["add_special"] = false;
    if (!request.parseSpecial) body["parse_special"] = false;
    return body;
}

}  // namespace conclave::engine::protocol
