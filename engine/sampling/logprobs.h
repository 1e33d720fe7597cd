#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/ids.h"

namespace conclave::engine::sampling {

struct TokenLogprob {
    base::TokenId token{};
    double logprob = 0;  ///< natural logarithm of a probability; -infinity where that is 0
};

/// What the model itself thought of a token: of the distribution before bias, penalties, temperature and
/// filters.
struct Logprobs {
    TokenLogprob chosen;
    std::vector<TokenLogprob> top;  ///< the likeliest tokens, likeliest first
};

/// The log-softmax of `logits` at `chosen` and at the `top` likeliest tokens (fewer where fewer can be
/// chosen). The logits must hold no NaN or +infinity and at least one number that is finite. Two passes.
/// Thread-safe.
Logprobs logprobs(std::span<const float> logits, base::TokenId chosen, uint32_t top);

}  // namespace conclave::engine::sampling
