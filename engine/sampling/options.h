#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/base/ids.h"

namespace conclave::engine::sampling {

/// What is taken from tokens that were there already. All of it is a function of the tokens alone.
struct Penalties {
    /// Divides a positive logit and multiplies a negative one of every token of prompt and answer (Keskar et
    /// al., "CTRL", 2019); above 1 it discourages. 1 = off.
    float repetition = 1;
    float frequency = 0;  ///< taken from a token's logit once for each time it was generated
    float presence = 0;   ///< taken once from the logit of a token that was generated
    /// Only the last so many tokens of prompt and answer count; none = all, 0 = no penalty at all.
    std::optional<uint32_t> lastTokens{};

    bool any() const { return lastTokens != 0u && (repetition != 1 || frequency != 0 || presence != 0); }
};

/// Added to the logit of a token; -infinity: it is never chosen.
struct LogitBias {
    base::TokenId token{};
    float bias = 0;
};

/// How the next token is chosen. Ranges are checked where a request is read: temperature 0–5, topP, minP and
/// typicalP 0–1, repetition 0.01–100, frequency and presence −2–2, bias −100–100; ids by the scheduler.
struct SamplerOptions {
    float temperature = 1;  ///< 0 = greedy
    uint32_t topK = 0;      ///< 0 = off
    float topP = 1;
    float minP = 0;
    float typicalP = 1;
    Penalties penalties{};
    std::vector<LogitBias> bias{};       ///< of several for one token the sum counts
    std::optional<uint32_t> logprobs{};  ///< report log probabilities, and those of so many likeliest tokens
    std::optional<uint64_t> seed{};      ///< none: the scheduler draws one and reports nothing
};

}  // namespace conclave::engine::sampling
