#include "engine/sampling/logprobs.h"

#include <algorithm>
#include <cmath>

#include "engine/sampling/survey.h"

namespace conclave::engine::sampling {

Logprobs logprobs(std::span<const float> logits, base::TokenId chosen, uint32_t top) {
    const Survey found = survey(logits);
    const double logTotal = std::log(weightSums(logits, found, 1).total);
    const auto of = [&](float logit) { return (double{logit} - double{found.best}) - logTotal; };
    Logprobs out;
    out.chosen = {chosen, of(logits[static_cast<size_t>(base::toInt(chosen))])};
    if (top == 0) return out;
    Candidates candidates = likeliest(logits, found, top);
    std::sort(candidates.begin(), candidates.end(), likelier);
    for (const Candidate& candidate : candidates)
        out.top.push_back({base::TokenId{candidate.id}, of(candidate.logit)});
    return out;
}

}  // namespace conclave::engine::sampling
