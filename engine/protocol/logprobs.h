#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/protocol/json.h"

namespace conclave::engine::protocol {

struct ScoredToken {
    std::string bytes;   ///< what the token stands for; may be a part of a character
    double logprob = 0;  ///< natural logarithm; -infinity is written as -9999, as OpenAI does
};

/// A generated token with its log probability, and the likeliest tokens of its place, likeliest first.
struct TokenScore {
    ScoredToken chosen;
    std::vector<ScoredToken> top;
    uint32_t textOffset = 0;  ///< characters of the choice's text before it
};

/// choices[].logprobs of /v1/chat/completions: {"content": [{token, logprob, bytes, top_logprobs}]}. Bytes
/// that are no whole character are U+FFFD in `token`. null where there is no token.
Json chatLogprobs(std::span<const TokenScore> scores);

/// choices[].logprobs of /v1/completions: tokens, token_logprobs, top_logprobs (the chosen token is always
/// among them), text_offset. A token that is no whole character is "bytes:\\xe2\\x98". null where there is no
/// token.
Json completionLogprobs(std::span<const TokenScore> scores);

}  // namespace conclave::engine::protocol
