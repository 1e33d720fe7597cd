#include "engine/sampling/survey.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>
#include <iterator>
#include <limits>

namespace conclave::engine::sampling {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();

// Two and four lanes of plain GNU C++: the compiler does not find them by itself at -O2, and the bits are
// those of one number after the other.
using Floats = float __attribute__((vector_size(16)));
using Flags = int32_t __attribute__((vector_size(16)));
using Doubles = double __attribute__((vector_size(16)));
using Bits = uint64_t __attribute__((vector_size(16)));

struct BlockBest {
    float best;
    bool bad;  ///< a NaN or +infinity is in it
};

BlockBest bestOfWholeBlock(const float* logits) {
    constexpr size_t kWide = 4;  // maxima that do not wait for one another
    constexpr float kMost = std::numeric_limits<float>::max();
    Floats best[kWide];
    for (Floats& lane : best)
        lane = Floats{kLowest, kLowest, kLowest, kLowest};
    Flags good = {-1, -1, -1, -1};
    for (size_t i = 0; i < kBlock; i += 4 * kWide)
        for (size_t lane = 0; lane < kWide; ++lane) {
            Floats x;
            std::memcpy(&x, logits + i + 4 * lane, sizeof x);
            best[lane] = x > best[lane] ? x : best[lane];
            good &= x <= Floats{kMost, kMost, kMost, kMost};
        }
    BlockBest out{kLowest, (good[0] & good[1] & good[2] & good[3]) == 0};
    for (const Floats& lane : best)
        for (size_t i = 0; i < 4; ++i)
            out.best = lane[i] > out.best ? lane[i] : out.best;
    return out;
}

BlockBest bestOfBlock(const float* logits, size_t size) {
    if (size == kBlock) return bestOfWholeBlock(logits);
    BlockBest out{kLowest, false};
    for (size_t i = 0; i < size; ++i) {
        out.best = logits[i] > out.best ? logits[i] : out.best;
        out.bad = out.bad || !(logits[i] <= std::numeric_limits<float>::max());
    }
    return out;
}

std::span<const float> blockOf(std::span<const float> logits, size_t block) {
    return logits.subspan(block * kBlock, std::min(kBlock, logits.size() - block * kBlock));
}

constexpr size_t kAtOnce = 8;  // pairs of weights

/// The Taylor series of e^r, |r| <= ln 2 / 2, in the order of Horner: 1/14! … 1/1!, 1.
constexpr size_t kTerms = 15;
constexpr double kTaylor[kTerms] = {1 / 87178291200.0,
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

/// weightOf of several pairs, in place. One pair's series is a chain of additions and products that wait for
/// one another; those of the others fill the gaps.
template <size_t kPairs> inline void weighPairs(Doubles (&x)[kPairs]) {
    const auto both = [](double value) { return Doubles{value, value}; };
    // Adding 1.5 * 2^52 rounds to a whole number, which then also stands in the lowest bits of the sum.
    const Doubles round = both(6755399441055744.0), least = both(kNegligible);
    Doubles shifted[kPairs], r[kPairs], sum[kPairs];
    for (size_t i = 0; i < kPairs; ++i) {
        const Doubles inside = x[i] > least ? x[i] : least;
        shifted[i] = inside * both(1.4426950408889634) + round;
        const Doubles k = shifted[i] - round;
        r[i] = (inside - k * both(6.93147180369123816490e-01)) -
               k * both(1.90821492927058770002e-10);  // ln 2 in two parts
        sum[i] = both(kTaylor[0]);
    }
    // Unrolled, this would be compiled to the series of one pair behind that of the other.
#pragma GCC unroll 1
    for (size_t term = 1; term < kTerms; ++term)
        for (size_t i = 0; i < kPairs; ++i)
            sum[i] = sum[i] * r[i] + both(kTaylor[term]);
    for (size_t i = 0; i < kPairs; ++i) {
        const Bits power = (std::bit_cast<Bits>(shifted[i]) + Bits{1023, 1023}) << 52;
        x[i] = x[i] > least ? sum[i] * std::bit_cast<Doubles>(power) : both(0);
    }
}

/// The sum of the weights of a whole block, by one tree: half is added to half until one is left.
double sumOfBlock(const float* logits, double best, double inverse) {
    constexpr size_t kPairs = kBlock / 2;
    static_assert(kPairs % kAtOnce == 0);
    Doubles weights[kPairs];
    for (size_t i = 0; i < kPairs; i += kAtOnce) {
        Doubles x[kAtOnce];
        for (size_t j = 0; j < kAtOnce; ++j)
            x[j] = (Doubles{double{logits[2 * (i + j)]}, double{logits[2 * (i + j) + 1]}} -
                    Doubles{best, best}) *
                   Doubles{inverse, inverse};
        weighPairs(x);
        for (size_t j = 0; j < kAtOnce; ++j)
            weights[i + j] = x[j];
    }
    for (size_t half = kPairs / 2; half > 0; half /= 2)
        for (size_t i = 0; i < half; ++i)
            weights[i] += weights[i + half];
    return weights[0][0] + weights[0][1];
}

}  // namespace

Survey survey(std::span<const float> logits) {
    Survey out;
    out.best = kLowest;
    const size_t blocks = (logits.size() + kBlock - 1) / kBlock;
    out.blockBest.reserve(blocks);
    size_t bestBlock = 0;
    bool bad = false;
    for (size_t block = 0; block < blocks; ++block) {
        const std::span<const float> mine = blockOf(logits, block);
        const BlockBest found = bestOfBlock(mine.data(), mine.size());
        bad = bad || found.bad;
        out.blockBest.push_back(found.best);
        if (found.best <= out.best) continue;
        out.best = found.best;
        bestBlock = block;
    }
    if (bad) {
        out.best = std::numeric_limits<float>::quiet_NaN();
    } else if (blocks > 0) {
        const std::span<const float> mine = blockOf(logits, bestBlock);
        out.bestId = static_cast<int32_t>(bestBlock * kBlock) +
                     static_cast<int32_t>(std::ranges::find(mine, out.best) - mine.begin());
    }
    return out;
}

double weightOf(double x) {
    Doubles pair[1] = {Doubles{x, x}};
    weighPairs(pair);
    return pair[0][0];
}

double weigh(Candidates& candidates, float best, double temperature) {
    const double inverse = 1 / temperature;
    const auto x = [&](const Candidate& c) { return (double{c.logit} - double{best}) * inverse; };
    double total = 0;
    size_t begin = 0;
    for (; begin + 2 * kAtOnce <= candidates.size(); begin += 2 * kAtOnce) {
        Candidate* these = candidates.data() + begin;
        Doubles pairs[kAtOnce];
        for (size_t i = 0; i < kAtOnce; ++i)
            pairs[i] = Doubles{x(these[2 * i]), x(these[2 * i + 1])};
        weighPairs(pairs);
        for (size_t i = 0; i < 2 * kAtOnce; ++i) {
            these[i].weight = pairs[i / 2][i % 2];
            total += these[i].weight;
        }
    }
    for (; begin < candidates.size(); ++begin) {
        candidates[begin].weight = weightOf(x(candidates[begin]));
        total += candidates[begin].weight;
    }
    return total;
}

WeightSums weightSums(std::span<const float> logits, const Survey& survey, double temperature) {
    WeightSums out;
    out.blocks.reserve(survey.blockBest.size());
    const double best = double{survey.best}, inverse = 1 / temperature;
    for (size_t block = 0; block < survey.blockBest.size(); ++block) {
        double sum = 0;
        if ((double{survey.blockBest[block]} - best) * inverse > kNegligible) {
            const std::span<const float> mine = blockOf(logits, block);
            float padded[kBlock];
            if (mine.size() < kBlock)
                std::fill(std::ranges::copy(mine, padded).out, padded + kBlock, kLowest);
            sum = sumOfBlock(mine.size() < kBlock ? padded : mine.data(), best, inverse);
        }
        out.blocks.push_back(sum);
        out.total += sum;
    }
    return out;
}

Candidates weighedBlock(std::span<const float> logits, size_t block, float best, double temperature) {
    Candidates out;
    int32_t id = static_cast<int32_t>(block * kBlock);
    for (const float logit : blockOf(logits, block))
        out.push_back({logit, id++, 0});
    weigh(out, best, temperature);
    return out;
}

Candidates atLeast(std::span<const float> logits, const Survey& survey, float least) {
    Candidates out;
    const float bound = std::max(least, std::numeric_limits<float>::lowest());
    const auto blocks = std::ranges::count_if(survey.blockBest, [&](float best) { return best >= bound; });
    out.reserve(static_cast<size_t>(blocks) * kBlock);
    for (size_t block = 0; block < survey.blockBest.size(); ++block) {
        if (survey.blockBest[block] < bound) continue;
        int32_t id = static_cast<int32_t>(block * kBlock);
        Candidate found[kBlock];  // no jump depends on a logit
        size_t size = 0;
        for (const float logit : blockOf(logits, block)) {
            found[size] = {logit, id++, 0};
            size += logit >= bound ? 1 : 0;
        }
        out.insert(out.end(), found, found + size);
    }
    return out;
}

Candidates likeliest(std::span<const float> logits, const Survey& survey, size_t k) {
    // Of k blocks each has a token of at least the k-th best block's, so the k likeliest lie above that.
    float least = kLowest;
    if (k <= survey.blockBest.size()) {
        std::vector<float> bests = survey.blockBest;
        const auto kth = bests.begin() + static_cast<std::ptrdiff_t>(k) - 1;
        std::nth_element(bests.begin(), kth, bests.end(), std::greater<>());
        least = *kth;
    }
    Candidates out = atLeast(logits, survey, least);
    if (k < out.size()) {
        std::vector<float> ordered(out.size());
        std::ranges::transform(out, ordered.begin(), &Candidate::logit);
        const auto kth = ordered.begin() + static_cast<std::ptrdiff_t>(k) - 1;
        std::nth_element(ordered.begin(), kth, ordered.end(), std::greater<>());
        least = *kth;
        // Of those that equal the k-th the first stay.
        auto equals = static_cast<std::ptrdiff_t>(k) -
                      std::ranges::count_if(out, [&](const Candidate& c) { return c.logit > least; });
        std::erase_if(
            out, [&](const Candidate& c) { return c.logit < least || (c.logit == least && equals-- <= 0); });
    }
    return out;
}

}  // namespace conclave::engine::sampling
