#pragma once

#include <cstdint>
#include <span>

#include "engine/base/ids.h"
#include "engine/base/result.h"
#include "engine/sampling/options.h"

namespace conclave::engine::sampling {

/// The token for position `position` of choice `choice`: a pure function of the logits, the options and these
/// numbers, so that it does not depend on batches, pre-emption, other requests or the machine.
///
/// Order, which stays as it is: top-k, temperature, typical-p, top-p, min-p (relative to the best token that
/// is left); each works on the shares of what the one before it left. Bias and penalties come before all of
/// them (choose.h). Equal logits go to the lower id. Greedy where temperature is 0 or topK is 1. -infinity is
/// a token that cannot be chosen.
///
/// Time is one pass over the logits, and where the sum of all of them is needed (no top-k, and not min-p
/// alone) two; nothing is sorted. typicalP without topK looks at every token, and so does topP where the
/// distribution is so flat that it takes more than 1,024 of them.
/// Errors: InvalidNumbers where a logit is NaN or +infinity, or where no token can be chosen. Thread-safe.
base::Result<base::TokenId> sample(std::span<const float> logits, const SamplerOptions& options,
                                   uint64_t seed, uint32_t choice, uint64_t position);

}  // namespace conclave::engine::sampling
