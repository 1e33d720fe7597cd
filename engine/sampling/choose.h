#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "engine/base/ids.h"
#include "engine/base/result.h"
#include "engine/sampling/adjust.h"
#include "engine/sampling/logprobs.h"
#include "engine/sampling/options.h"

namespace conclave::engine::sampling {

/// Where a token is chosen. Its position, which the random number depends on, is past.tokens.size().
struct Place {
    Past past;
    uint64_t seed = 0;
    uint32_t choice = 0;                      ///< which of several answers to one prompt and seed
    std::span<const base::TokenId> masked{};  ///< tokens that must not be chosen here
};

struct Choice {
    base::TokenId token{};
    std::optional<Logprobs> logprobs{};  ///< where options.logprobs asks for them
};

/// From a row of logits to a token: adjust() on a copy, then sample(); log probabilities are those of
/// `logits` as they came. A pure function of its arguments.
/// Errors: InvalidNumbers where a logit is NaN or +infinity, or where the model itself leaves no token;
/// BadArgument where bias and mask leave none. Thread-safe.
base::Result<Choice> choose(std::span<const float> logits, const SamplerOptions& options, const Place& place);

}  // namespace conclave::engine::sampling
