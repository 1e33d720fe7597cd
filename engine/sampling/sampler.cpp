#include "engine/sampling/sampler.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "engine/sampling/random.h"

namespace conclave::engine::sampling {
namespace {

/// A token that may still be chosen. weight = exp((logit - best) / temperature), so the best token's is 1.
struct Candidate {
    float logit;
    int32_t id;
    double weight;
};
using Candidates = std::vector<Candidate>;

bool likelier(const Candidate& a, const Candidate& b) {
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

bool lowerId(const Candidate& a, const Candidate& b) {
    return a.id < b.id;
}

Candidates::iterator at(Candidates& candidates, size_t index) {
    return candidates.begin() + static_cast<std::ptrdiff_t>(index);
}

/// Below e^-45 = 2^-65 of the best token's weight a token cannot move the sum of all weights.
constexpr double kNegligible = -45;

/// e^x for kNegligible <= x <= 0, by the same operations on every machine (the C library's differs between
/// processors in the last bit, which would make a seed mean something else elsewhere). Relative error under
/// 1e-15.
double expOfNegative(double x) {
    // The Taylor series of e^r, |r| <= ln 2 / 2, in the order of Horner: 1/14! … 1/1!, 1.
    constexpr double kTaylor[] = {1 / 87178291200.0,
                                  1 / 6227020800.0,
                                  1 / 479001600.0,
                                  1 / 39916800.0,
                                  1 / 3628800.0,
                                  1 / 362880.0,
                                  1 / 40320.0,
                                  1 / 5040.0,
                                  1 / 720.0,
                                  1 / 120.0,
                                  1 / 24.0,
                                  1 / 6.0,
                                  0.5,
                                  1.0,
                                  1.0};
    const double k = std::floor(x * 1.4426950408889634 + 0.5);
    const double r =
        (x - k * 6.93147180369123816490e-01) - k * 1.90821492927058770002e-10;  // ln 2 in two parts
    double sum = 0;
    for (double coefficient : kTaylor)
        sum = sum * r + coefficient;
    return sum * std::bit_cast<double>(static_cast<uint64_t>(1023 + static_cast<int64_t>(k)) << 52);
}

/// The largest logit; NaN where one of them is NaN or +infinity.
float largest(std::span<const float> logits) {
    constexpr size_t kLanes = 16;  // independent maxima, so that the compiler may use vectors
    float best[kLanes];
    std::fill(best, best + kLanes, -std::numeric_limits<float>::infinity());
    int bad[kLanes] = {};
    const size_t whole = logits.size() / kLanes * kLanes;
    for (size_t i = 0; i < whole; i += kLanes)
        for (size_t lane = 0; lane < kLanes; ++lane) {
            const float x = logits[i + lane];
            best[lane] = x > best[lane] ? x : best[lane];
            bad[lane] |= x <= std::numeric_limits<float>::max() ? 0 : 1;
        }
    for (size_t i = whole; i < logits.size(); ++i) {
        best[0] = std::max(best[0], logits[i]);
        bad[0] |= logits[i] <= std::numeric_limits<float>::max() ? 0 : 1;
    }
    if (std::any_of(bad, bad + kLanes, [](int b) { return b != 0; }))
        return std::numeric_limits<float>::quiet_NaN();
    return *std::max_element(best, best + kLanes);
}

/// Every token whose probability could matter, by id; weights are not set.
Candidates candidatesOf(std::span<const float> logits, float best, double temperature) {
    Candidates out;
    out.reserve(logits.size());
    // A little inside kNegligible, so that rounding cannot bring the quotient below it.
    const double cut = kNegligible * (1 - 1e-9) * temperature;
    for (size_t i = 0; i < logits.size(); ++i)
        if (double{logits[i]} - double{best} > cut) out.push_back({logits[i], static_cast<int32_t>(i), 0});
    return out;
}

/// Leaves the k likeliest, by id.
void keepTopK(Candidates& candidates, size_t k) {
    if (k == 0 || k >= candidates.size()) return;
    std::nth_element(candidates.begin(), at(candidates, k), candidates.end(), likelier);
    candidates.resize(k);
    std::sort(candidates.begin(), candidates.end(), lowerId);
}

/// Sets the weights; the sum of them in the order they stand.
double weigh(Candidates& candidates, float best, double temperature) {
    double total = 0;
    for (Candidate& c : candidates) {
        c.weight = expOfNegative((double{c.logit} - double{best}) / temperature);
        total += c.weight;
    }
    return total;
}

/// Leaves the fewest of the likeliest whose weights reach `wanted`, at least one, likeliest first. Sorts only
/// as many as that takes.
void keepUpTo(Candidates& candidates, double wanted) {
    double sum = 0;
    size_t kept = 0;
    for (size_t sorted = 0; sorted < candidates.size();) {
        const size_t upTo = std::min(candidates.size(), std::max<size_t>(64, sorted * 4));
        if (upTo < candidates.size())
            std::nth_element(at(candidates, sorted), at(candidates, upTo), candidates.end(), likelier);
        std::sort(at(candidates, sorted), at(candidates, upTo), likelier);
        for (sorted = upTo; kept < sorted;) {
            sum += candidates[kept++].weight;
            if (sum >= wanted) {
                candidates.resize(kept);
                return;
            }
        }
    }
}

/// The order of the candidates is a function of the logits and the options alone, and so is the token.
base::TokenId draw(const Candidates& candidates, double uniform) {
    double total = 0;
    for (const Candidate& c : candidates)
        total += c.weight;
    double sum = 0;
    for (const Candidate& c : candidates) {
        sum += c.weight;
        if (sum > uniform * total) return base::TokenId{c.id};
    }
    return base::TokenId{candidates.back().id};
}

}  // namespace

base::Result<base::TokenId> sample(std::span<const float> logits, const SamplerOptions& options,
                                   uint64_t seed, uint32_t choice, uint64_t position) {
    const float best = largest(logits);
    if (!std::isfinite(best))  // also where every token is masked: there is nothing to choose
        return base::Error{base::Code::InvalidNumbers, {}, {}, {}};
    if (options.temperature <= 0 || options.topK == 1)
        return base::TokenId{
            static_cast<int32_t>(std::find(logits.begin(), logits.end(), best) - logits.begin())};
    const double temperature = double{options.temperature};
    Candidates candidates = candidatesOf(logits, best, temperature);
    keepTopK(candidates, options.topK);
    const double total = weigh(candidates, best, temperature);
    if (options.topP < 1) keepUpTo(candidates, double{options.topP} * total);
    if (options.minP > 0)
        std::erase_if(candidates, [&](const Candidate& c) { return c.weight < double{options.minP}; });
    return draw(candidates, uniformAt(seed, choice, position));
}

}  // namespace conclave::engine::sampling
