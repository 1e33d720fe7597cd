#include "engine/text/chat_template.h"

#include <ctime>
#include <mutex>
#include <new>
#include <utility>

#include "engine/base/utf8.h"
#include "engine/text/jinja/input.h"
#include "engine/text/jinja/interpreter.h"
#include "engine/text/jinja/parser.h"

namespace conclave::engine::text {

using base::Code;
using base::Error;
using jinja::ArgumentStyle;
using jinja::Failure;

struct ChatTemplate::State {
    std::string source;
    TemplateBudget budget;
    jinja::Program program;
    mutable std::once_flag probed;
    mutable ArgumentStyle argumentStyle = ArgumentStyle::Object;
};

namespace {

/// Of a template's source. Those of real models have less than a tenth of it.
constexpr size_t kMostSource = size_t{1} << 20;

Error errorOf(const Failure& failure) {
    const std::string line = std::to_string(failure.line);
    switch (failure.code) {
    case Code::TemplateSyntax:
    case Code::TemplateFailed:
        return {failure.code, "", line, {failure.message}};
    case Code::InvalidUtf8:
        return {failure.code, "", "the input of the chat template", {failure.message}};
    default:
        return {failure.code, "", "", {failure.message}};
    }
}

Error outOfMemory() {
    return {Code::OutOfMemory, "", "the chat template", {"the prompt is too long"}};
}

std::tm localTime(std::chrono::system_clock::time_point now) {
    const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
    std::tm out{};
    localtime_r(&seconds, &out);
    return out;
}

jinja::Text renderWith(const jinja::Program& program, const TemplateBudget& budget,
                       const nlohmann::ordered_json& input, const std::tm& now, ArgumentStyle style) {
    jinja::Interpreter interpreter(program, budget, now);
    jinja::defineInput(interpreter, input, style);
    return interpreter.run();
}

/// A conversation with one tool call whose arguments are easy to find in the prompt.
nlohmann::ordered_json probe(const nlohmann::ordered_json& content, const nlohmann::ordered_json& arguments) {
    // The id suits templates that insist on nine letters.
    const nlohmann::ordered_json call = {{"id", "probecall"},
                                         {"type", "function"},
                                         {"function", {{"name", "probe"}, {"arguments", arguments}}}};
    return {{"messages",
             {{{"role", "user"}, {"content", "probe"}},
              {{"role", "assistant"},
               {"content", content},
               {"tool_calls", nlohmann::ordered_json::array({call})}}}},
            {"add_generation_prompt", false},
            {"bos_token", "<s>"},
            {"eos_token", "</s>"}};
}

/// The prompt of a probe, or nothing where the template refuses it.
std::string probed(const jinja::Program& program, TemplateBudget budget,
                   const nlohmann::ordered_json& input) {
    constexpr uint64_t kShare = 10;  // of the steps of a real rendering
    budget.steps /= kShare;
    try {
        return renderWith(program, budget, input, std::tm{}, ArgumentStyle::AsGiven).bytes();
    } catch (const Failure&) {
        return {};  // that it refuses is the answer
    }
}

/// Whether the template puts arguments into the prompt as the text that they are (it concatenates them), or
/// works on the object.
ArgumentStyle argumentStyleOf(const jinja::Program& program, const TemplateBudget& budget) {
    const std::string text = R"({"probe_key": "probe_value"})";
    const auto object = nlohmann::ordered_json::parse(text);
    for (const nlohmann::ordered_json& content :
         {nlohmann::ordered_json(""), nlohmann::ordered_json(nullptr)}) {
        const std::string fromObject = probed(program, budget, probe(content, object));
        const bool isPythonic = fromObject.find("'probe_key'") != std::string::npos;
        if (fromObject.find("probe_value") != std::string::npos && !isPythonic) return ArgumentStyle::Object;
        if (probed(program, budget, probe(content, text)).find(text) != std::string::npos)
            return ArgumentStyle::Text;
    }
    return ArgumentStyle::Object;
}

}  // namespace

std::string RenderedPrompt::text() const {
    std::string out;
    for (const TextSpan& span : spans)
        out += span.text;
    return out;
}

ChatTemplate::ChatTemplate(std::shared_ptr<const State> state) : state_(std::move(state)) {}
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

const std::string& ChatTemplate::source() const {
    return state_->source;
}

base::Result<ChatTemplate> ChatTemplate::parse(std::string source, TemplateBudget budget) {
    if (const size_t valid = base::validUtf8Prefix(source); valid != source.size())
        return Error{Code::InvalidUtf8, "", "the chat template", {std::to_string(valid)}};
    try {
        if (source.size() > kMostSource)
            jinja::failBudget("its source has more than " + std::to_string(kMostSource >> 10) + " KiB");
        auto state = std::make_shared<State>();
        state->source = std::move(source);
        state->budget = budget;
        jinja::parse(state->source, budget.depth, state->program);
        return ChatTemplate(std::move(state));
    } catch (const Failure& failure) {
        return errorOf(failure);
    } catch (const std::bad_alloc&) {
        return outOfMemory();
    }
}

base::Result<RenderedPrompt> ChatTemplate::render(const nlohmann::ordered_json& input,
                                                  std::chrono::system_clock::time_point now) const {
    if (!input.is_object())
        return Error{Code::WrongType,
                     "",
                     "the input of the chat template",
                     {input.type_name(), "an object of variables"}};
    try {
        ArgumentStyle style = ArgumentStyle::Object;
        if (jinja::hasToolArguments(input)) {
            std::call_once(state_->probed, [this]() {
                state_->argumentStyle = argumentStyleOf(state_->program, state_->budget);
            });
            style = state_->argumentStyle;
        }
        return RenderedPrompt{
            renderWith(state_->program, state_->budget, input, localTime(now), style).spans()};
    } catch (const Failure& failure) {
        return errorOf(failure);
    } catch (const std::bad_alloc&) {
        return outOfMemory();
    }
}

}  // namespace conclave::engine::text
