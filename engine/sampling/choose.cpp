#include "engine/sampling/choose.h"

#include <cmath>
#include <vector>

#include "engine/sampling/sampler.h"
#include "engine/sampling/survey.h"

namespace conclave::engine::sampling {
namespace {

base::Result<base::TokenId> chooseAdjusted(std::span<const float> logits, const SamplerOptions& options,
                                           const Place& place) {
    std::vector<float> adjusted(logits.begin(), logits.end());
    adjust(adjusted, options, place.masked, place.past);
    auto token = sample(adjusted, options, place.seed, place.choice, place.past.tokens.size());
    if (!token.ok() && std::isfinite(survey(logits).best))
        return base::Error{base::Code::BadArgument, {}, "logit_bias", {"leaves no token to choose from"}};
    return token;
}

}  // namespace

base::Result<Choice> choose(std::span<const float> logits, const SamplerOptions& options,
                            const Place& place) {
    Choice out;
    if (changesLogits(options, place.masked)) {
        CONCLAVE_TRY(out.token, chooseAdjusted(logits, options, place));
    } else {
        CONCLAVE_TRY(out.token, sample(logits, options, place.seed, place.choice, place.past.tokens.size()));
    }
    if (options.logprobs) out.logprobs = logprobs(logits, out.token, *options.logprobs);
    return out;
}

}  // namespace conclave::engine::sampling
