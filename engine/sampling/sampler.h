#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "engine/base/ids.h"
#include "engine/base/result.h"

namespace conclave::engine::sampling {

/// How the next token is chosen. Ranges are checked where a request is read: temperature 0–5, topP and minP
/// 0–1.
struct SamplerOptions {
    float temperature = 1;  ///< 0 = greedy
    uint32_t topK = 0;      ///< 0 = off
    float topP = 1;
    float minP = 0;
    std::optional<uint64_t> seed{};  ///< none: the scheduler draws one and reports nothing
};

/// The token for position `position` of choice `choice`: a pure function of the logits, the options and these
/// numbers, so that it does not depend on batches, pre-emption, other requests or the machine. Order: top-k,
/// temperature, top-p, min-p (relative to the best token), as transformers and vLLM do; equal logits go to
/// the lower id. Greedy where temperature is 0 or topK is 1. -infinity is a token that cannot be chosen.
/// Errors: InvalidNumbers where a logit is NaN or +infinity, or where no token can be chosen.
base::Result<base::TokenId> sample(std::span<const float> logits, const SamplerOptions& options,
                                   uint64_t seed, uint32_t choice, uint64_t position);

}  // namespace conclave::engine::sampling
