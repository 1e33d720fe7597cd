#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/ids.h"
#include "engine/protocol/fields.h"

namespace conclave::engine::protocol {

/// The fields that chat and completion requests share. What is empty was not asked for: the model's own
/// defaults count then, and after those temperature 1 and top_p 1.
struct Generation {
    std::string model;                  ///< empty: the engine's default
    std::optional<double> temperature;  ///< 0–5; 0 = greedy
    std::optional<double> topP, minP;   ///< 0–1
    std::optional<uint32_t> topK;       ///< 0 = off (any value ≤ 0 on the wire)
    std::optional<uint32_t> maxTokens;  ///< max_completion_tokens or max_tokens; empty: up to the context
    std::optional<uint64_t> seed;       ///< any 64-bit integer on the wire; −1 = none
    std::vector<std::string> stop;      ///< at most 16
    bool stream = false;
    bool includeUsage = false;                 ///< stream_options.include_usage
    std::optional<base::Priority> priority{};  ///< interactive, chat or background
};

/// Reads them; what is wrong is remembered in `fields`. Also refuses what would change the answer and is not
/// offered (n > 1, logprobs, penalties, logit_bias, response_format), unless it has its neutral value.
Generation readGeneration(Fields& fields);

/// Writes what is set into `body`.
void writeGeneration(const Generation& generation, Json& body);

}  // namespace conclave::engine::protocol
