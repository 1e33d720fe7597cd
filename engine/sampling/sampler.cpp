#include "engine/sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/sampling/filters.h"
#include "engine/sampling/random.h"
#include "engine/sampling/survey.h"

namespace conclave::engine::sampling {
namespace {

/// The first whose sum with those before it exceeds `target`, the last that has a weight where rounding
/// leaves none.
base::TokenId firstBeyond(const Candidates& candidates, double sum, double target) {
    int32_t last = candidates.front().id;
    for (const Candidate& c : candidates) {
        if (c.weight <= 0) continue;
        sum += c.weight;
        last = c.id;
        if (sum > target) break;
    }
    return base::TokenId{last};
}

/// The candidates stand by id, so the token is a function of the logits and the options alone.
base::TokenId draw(const Candidates& candidates, double uniform) {
    return firstBeyond(candidates, 0, uniform * sumOf(candidates));
}

/// Nothing is filtered: finds the block, then the token in it.
base::TokenId drawFromAll(std::span<const float> logits, const Survey& found, double temperature,
                          double uniform) {
    const WeightSums sums = weightSums(logits, found, temperature);
    const double target = uniform * sums.total;
    double before = 0, sum = 0;
    size_t chosen = 0;
    for (size_t block = 0; block < sums.blocks.size() && sum <= target; ++block) {
        if (sums.blocks[block] <= 0) continue;
        chosen = block;
        before = sum;
        sum += sums.blocks[block];
    }
    return firstBeyond(weighedBlock(logits, chosen, found.best, temperature), before, target);
}

/// The likeliest tokens that certainly hold those whose weights reach `wanted`, with their weights.
Candidates enoughFor(std::span<const float> logits, const Survey& found, double temperature, double wanted) {
    for (const size_t k : {size_t{64}, size_t{1024}}) {  // the first is nearly always enough
        if (static_cast<double>(k) < wanted) continue;   // no token weighs more than 1
        Candidates candidates = likeliest(logits, found, k);
        if (weigh(candidates, found.best, temperature) >= wanted) return candidates;
    }
    Candidates candidates = likeliest(logits, found, logits.size());
    weigh(candidates, found.best, temperature);
    return candidates;
}

/// All whose weight could reach `share` of the best token's.
Candidates notBelow(std::span<const float> logits, const Survey& found, double temperature, double share) {
    // The logarithm is the C library's; the slack is larger than any difference between machines, and the
    // filter itself compares weights.
    const double least = double{found.best} + temperature * (std::log(share) - 1e-9);
    Candidates candidates = atLeast(
        logits, found,
        std::nextafter(static_cast<float>(std::max(least, double{std::numeric_limits<float>::lowest()})),
                       -std::numeric_limits<float>::infinity()));
    weigh(candidates, found.best, temperature);
    return candidates;
}

}  // namespace

base::Result<base::TokenId> sample(std::span<const float> logits, const SamplerOptions& options,
                                   uint64_t seed, uint32_t choice, uint64_t position) {
    const Survey found = survey(logits);
    if (!std::isfinite(found.best))  // also where every token is masked: there is nothing to choose
        return base::Error{base::Code::InvalidNumbers, {}, {}, {}};
    if (options.temperature <= 0 || options.topK == 1) return base::TokenId{found.bestId};
    const double temperature = double{options.temperature}, uniform = uniformAt(seed, choice, position);
    const double topP = double{options.topP}, minP = double{options.minP};
    const bool byRank = options.topK > 0 && options.topK < logits.size();
    const bool typical = options.typicalP < 1, nucleus = options.topP < 1;

    Candidates candidates;
    double total = 0;  // of the weights that the nucleus is a share of
    if (byRank || typical) {
        candidates = likeliest(logits, found, byRank ? options.topK : logits.size());
        total = weigh(candidates, found.best, temperature);
        if (typical) keepTypical(candidates, double{options.typicalP}, found.best, temperature);
        if (typical) total = sumOf(candidates);
    } else if (nucleus) {
        total = weightSums(logits, found, temperature).total;
        candidates = enoughFor(logits, found, temperature, topP * total);
    } else if (minP > 0) {
        candidates = notBelow(logits, found, temperature, minP);
    } else {
        return drawFromAll(logits, found, temperature, uniform);
    }
    if (nucleus) keepUpTo(candidates, topP * total, found.best);
    if (minP > 0) keepAbove(candidates, minP);
    return draw(candidates, uniform);
}

}  // namespace conclave::engine::sampling
