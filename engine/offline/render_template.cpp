#include "engine/offline/render_template.h"

#include <ctime>
#include <nlohmann/json.hpp>

#include "engine/formats/hf_folder.h"
#include "engine/library/library.h"
#include "engine/platform/file.h"
#include "engine/text/chat_template.h"

namespace conclave::engine::offline {
namespace {

using Clock = std::chrono::system_clock;

base::Result<Clock::time_point> parseClock(const std::string& text) {
    std::tm parts{};
    const char* end = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
    parts.tm_isdst = -1;
    const std::time_t seconds = end && *end == '\0' ? std::mktime(&parts) : -1;
    if (seconds == -1)
        return base::Error{base::Code::BadArgument,
                           "",
                           "--now",
                           {"'" + text + "' is not a time such as 2026-11-23T09:30:00"}};
    return Clock::from_time_t(seconds);
}

struct Case {
    nlohmann::ordered_json variables;
    Clock::time_point now;
};

base::Result<Case> readCase(const TemplateRequest& request) {
    // The strict reader finds what is wrong; the order of keys, which tojson shows, needs the other kind of
    // object.
    CONCLAVE_TRY(const nlohmann::json checked, formats::parseStrictJson(request.input, "--input"));
    if (!checked.is_object())
        return base::Error{
            base::Code::WrongType, "--input", "the case", {"not an object", "an object of variables"}};
    Case out;
    out.variables = nlohmann::ordered_json::parse(request.input);
    std::string clock = request.now;
    if (out.variables.contains("input") && out.variables["input"].is_object() &&
        !out.variables.contains("messages")) {
        if (clock.empty()) clock = out.variables.value("now", "");
        out.variables = nlohmann::ordered_json(out.variables["input"]);
    }
    out.now = Clock::now();
    if (!clock.empty()) {
        CONCLAVE_TRY(out.now, parseClock(clock));
    }
    return out;
}

}  // namespace

base::Result<std::string> renderTemplate(const TemplateRequest& request) {
    CONCLAVE_TRY(Case rendered, readCase(request));
    if (!request.modelPath.empty()) {
        CONCLAVE_TRY(const library::ModelParts parts, library::openParts(request.modelPath));
        if (!parts.chatTemplate)
            return parts.templateError.value_or(
                base::Error{base::Code::NoChatTemplate, "", request.modelPath, {}});
        if (!rendered.variables.contains("bos_token")) rendered.variables["bos_token"] = parts.bosText;
        if (!rendered.variables.contains("eos_token")) rendered.variables["eos_token"] = parts.eosText;
        CONCLAVE_TRY(const text::RenderedPrompt prompt,
                     parts.chatTemplate->render(rendered.variables, rendered.now));
        return prompt.text();
    }
    CONCLAVE_TRY(std::string source, platform::readTextFile(request.templateFile));
    CONCLAVE_TRY(const text::ChatTemplate chat, text::ChatTemplate::parse(std::move(source)));
    CONCLAVE_TRY(const text::RenderedPrompt prompt, chat.render(rendered.variables, rendered.now));
    return prompt.text();
}

}  // namespace conclave::engine::offline
