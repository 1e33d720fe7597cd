#pragma once

#include <cstddef>
#include <span>

#include "engine/base/ids.h"
#include "engine/sampling/options.h"

namespace conclave::engine::sampling {

/// The tokens before the one that is to be chosen: the prompt's, then those generated.
struct Past {
    std::span<const base::TokenId> tokens;
    size_t promptTokens = 0;
};

/// Whether adjust() would change anything.
bool changesLogits(const SamplerOptions& options, std::span<const base::TokenId> masked);

/// Changes the logits before anything is chosen, in this order, as vLLM does: bias; `masked` tokens become
/// -infinity; repetition penalty; frequency and presence penalty. A pure function of its arguments: nothing
/// is kept between calls, so that a sequence that lost its pages goes on the same. NaN and infinities stay as
/// they are, so that a broken row is still seen; other logits stay finite, except where a token is banned.
/// Every id of `options.bias`, `masked` and `past` must lie inside `logits`. Time is linear in those three.
/// Thread-safe.
void adjust(std::span<float> logits, const SamplerOptions& options, std::span<const base::TokenId> masked,
            const Past& past);

}  // namespace conclave::engine::sampling
