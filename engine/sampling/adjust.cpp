#include "engine/sampling/adjust.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace conclave::engine::sampling {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();
constexpr double kMost = double{std::numeric_limits<float>::max()};

size_t indexOf(base::TokenId token) {
    return static_cast<size_t>(base::toInt(token));
}

void set(float& logit, double value) {
    if (std::isfinite(logit)) logit = static_cast<float>(std::clamp(value, -kMost, kMost));
}

void penalise(float& logit, const Penalties& penalties, uint32_t generated) {
    double value = double{logit};
    const double repetition = double{penalties.repetition};
    value = value > 0 ? value / repetition : value * repetition;
    value -= double{penalties.frequency} * generated;
    if (generated > 0) value -= double{penalties.presence};
    set(logit, value);
}

/// Walks the tokens twice: counts, then changes each token's logit once and clears its count. The counts of a
/// thread are zero between calls.
void penaliseAll(std::span<float> logits, const Penalties& penalties, const Past& past) {
    constexpr uint32_t kSeen = uint32_t{1} << 31;
    thread_local std::vector<uint32_t> counts;
    if (counts.size() < logits.size()) counts.resize(logits.size(), 0);
    const size_t from = penalties.lastTokens
                            ? past.tokens.size() - std::min<size_t>(past.tokens.size(), *penalties.lastTokens)
                            : 0;
    for (size_t i = from; i < past.tokens.size(); ++i) {
        uint32_t& count = counts[indexOf(past.tokens[i])];
        count = (count | kSeen) + (i >= past.promptTokens ? 1 : 0);
    }
    for (size_t i = from; i < past.tokens.size(); ++i) {
        uint32_t& count = counts[indexOf(past.tokens[i])];
        if (count == 0) continue;  // done already
        penalise(logits[indexOf(past.tokens[i])], penalties, count & ~kSeen);
        count = 0;
    }
}

}  // namespace

bool changesLogits(const SamplerOptions& options, std::span<const base::TokenId> masked) {
    return !options.bias.empty() || !masked.empty() || options.penalties.any();
}

void adjust(std::span<float> logits, const SamplerOptions& options, std::span<const base::TokenId> masked,
            const Past& past) {
    for (const LogitBias& bias : options.bias) {
        float& logit = logits[indexOf(bias.token)];
        if (bias.bias == kNever)
            logit = std::isfinite(logit) ? kNever : logit;
        else
            set(logit, double{logit} + double{bias.bias});
    }
    for (const base::TokenId token : masked) {
        float& logit = logits[indexOf(token)];
        logit = std::isfinite(logit) ? kNever : logit;
    }
    if (options.penalties.any()) penaliseAll(logits, options.penalties, past);
}

}  // namespace conclave::engine::sampling
