#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace conclave::engine::sampling {

/// A token that may still be chosen. weight = exp((logit - best) / temperature), so the best token's is 1.
struct Candidate {
    float logit;
    int32_t id;
    double weight;
};
using Candidates = std::vector<Candidate>;

/// Equal logits: the lower id goes first.
inline bool likelier(const Candidate& a, const Candidate& b) {
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

constexpr size_t kBlock = 64;  ///< logits that a survey sums up as one number

/// What one pass over the logits of a row finds out; everything later looks only into blocks that matter.
struct Survey {
    /// NaN where a logit is NaN or +infinity, -infinity where no token can be chosen.
    float best = 0;
    int32_t bestId = 0;            ///< the lowest id that has it
    std::vector<float> blockBest;  ///< of each block of kBlock logits, the last one may be shorter
};
Survey survey(std::span<const float> logits);

/// Below e^-45 = 2^-65 of the best token's weight a token cannot move the sum of all weights: it counts as 0.
constexpr double kNegligible = -45;

/// e^x for x <= 0 by the same operations on every machine (the C library's differs between processors in the
/// last bit, which would make a seed mean something else elsewhere); 0 from kNegligible down. Relative error
/// under 1e-15.
double weightOf(double x);

/// Sets the weights; their sum in the order they stand.
double weigh(Candidates& candidates, float best, double temperature);

/// The sums of weights of every block, each added by the same tree, and the sum of those, ascending.
struct WeightSums {
    std::vector<double> blocks;
    double total = 0;
};
WeightSums weightSums(std::span<const float> logits, const Survey& survey, double temperature);

/// The tokens of one block and their weights.
Candidates weighedBlock(std::span<const float> logits, size_t block, float best, double temperature);

/// Every token whose logit is at least `least` and not -infinity, by id; weights are not set.
Candidates atLeast(std::span<const float> logits, const Survey& survey, float least);

/// The k likeliest tokens that can be chosen, k > 0, by id; weights are not set.
Candidates likeliest(std::span<const float> logits, const Survey& survey, size_t k);

}  // namespace conclave::engine::sampling
