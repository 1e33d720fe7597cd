#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/text/template_budget.h"
#include "engine/text/text_span.h"

namespace conclave::engine::text {

/// A prompt as the template wrote it. Text of the template itself is trusted, text that came out of the input
/// (a message, a tool's result) is not.
struct RenderedPrompt {
    std::vector<TextSpan> spans;
    std::string text() const;
};

/// A Hugging Face chat template: Jinja with trim_blocks and lstrip_blocks, `raise_exception`, `strftime_now`,
/// `tojson` without HTML escaping, `break` and `continue`, the `generation` block. Immutable and safe to
/// share between threads. It has no access to anything but its input: no files, no imports, no attributes of
/// the host.
class ChatTemplate {
  public:
    /// Errors: TemplateSyntax (with the line), TemplateBudget for nesting.
    static base::Result<ChatTemplate> parse(std::string source, TemplateBudget budget = {});
    ChatTemplate(ChatTemplate&&) noexcept;
    ChatTemplate& operator=(ChatTemplate&&) noexcept;
    ~ChatTemplate();

    /// `input` is the template's variables: messages, tools, add_generation_prompt, bos_token, eos_token, and
    /// whatever else a caller passes; the order of its keys is kept. Strings in it are untrusted except
    /// bos_token, eos_token, unk_token and pad_token. `now` is the clock of strftime_now, in local time.
    /// `function.arguments` of tool calls given as a string of JSON is parsed first, unless the template
    /// concatenates it (found out by rendering a probe once). Errors: TemplateRaised with the template's own
    /// message, TemplateFailed, TemplateBudget.
    base::Result<RenderedPrompt> render(const nlohmann::ordered_json& input,
                                        std::chrono::system_clock::time_point now) const;

    const std::string& source() const;

  private:
    struct State;
    explicit ChatTemplate(std::shared_ptr<const State> state);
    std::shared_ptr<const State> state_;
};

}  // namespace conclave::engine::text
