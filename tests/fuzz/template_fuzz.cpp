// Any bytes as a chat template, a NUL and the JSON of its input: an error or a prompt in valid UTF-8, whose
// trusted parts hold nothing of what the user wrote.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "engine/base/utf8.h"
#include "engine/text/chat_template.h"

namespace text = conclave::engine::text;
namespace base = conclave::engine::base;

namespace {

/// A character that no template makes unless it is written there: a private one.
constexpr std::string_view kUsers = "\xEE\x80\x80";

void require(bool promise) {
    if (!promise) std::abort();
}

void requireSentence(const base::Error& error) {
    require(error.code != base::Code::Internal && !base::render(error).empty());
}

text::TemplateBudget smallBudget() {
    text::TemplateBudget budget;
    budget.steps = 20'000;
    budget.outputBytes = size_t{1} << 16;
    budget.items = 5'000;
    return budget;
}

nlohmann::ordered_json inputOf(std::string_view json) {
    auto input = nlohmann::ordered_json::parse(json, nullptr, false);
    if (!input.is_object()) input = nlohmann::ordered_json::object();
    const std::string words = "a " + std::string(kUsers) + "b";
    input["x"] = words;
    input["messages"].push_back({{"role", "user"}, {"content", words}});
    return input;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const size_t border = std::min(bytes.find('\0'), size);
    const std::string source(bytes.substr(0, border));
    const auto parsed = text::ChatTemplate::parse(source, smallBudget());
    if (!parsed.ok()) {
        requireSentence(parsed.error());
        return 0;
    }
    nlohmann::ordered_json input;
    try {
        input = inputOf(bytes.substr(std::min(border + 1, size)));
    } catch (const nlohmann::json::exception&) {
        return 0;  // messages that cannot be added to
    }
    const auto rendered = parsed->render(input, std::chrono::system_clock::time_point());
    if (!rendered.ok()) {
        requireSentence(rendered.error());
        return 0;
    }
    // With an escape the template can write the character itself.
    const bool mayWrite = source.find('\\') != std::string::npos || source.find(kUsers) != std::string::npos;
    for (size_t i = 0; i < rendered->spans.size(); ++i) {
        const text::TextSpan& span = rendered->spans[i];
        require(!span.text.empty() && base::isValidUtf8(span.text));
        require(i == 0 || span.trusted != rendered->spans[i - 1].trusted);
        require(mayWrite || !span.trusted || span.text.find(kUsers) == std::string::npos);
    }
    return 0;
}
