#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/base/ids.h"
#include "engine/protocol/generation.h"

namespace conclave::engine::protocol {

/// POST /v1/completions.
struct CompletionRequest {
    Generation generation;
    std::variant<std::string, std::vector<base::TokenId>> prompt;  ///< text, or ids of the model's vocabulary
    bool echo = false;                                             ///< the answer begins with the prompt
    bool addSpecial =
        true;  ///< the vocabulary's own rule for a beginning-of-text token is followed (text only)
    /// Control tokens in the prompt's text are matched: a raw prompt is written by a program, as a template
    /// would write it. false makes them plain text.
    bool parseSpecial = true;
};

/// Errors as readChatRequest. Several prompts in one request and `suffix` are refused.
base::Result<CompletionRequest> readCompletionRequest(std::string_view body);

Json toJson(const CompletionRequest& request);

}  // namespace conclave::engine::protocol
