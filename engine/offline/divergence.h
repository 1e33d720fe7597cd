#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace conclave::engine::offline {

/// How one run's next tokens compare with another's, summed over positions.
struct Divergence {
    double meanKl = 0;      ///< mean Kullback-Leibler divergence of the next token's distribution, nats
    uint64_t sameBest = 0;  ///< positions whose best token is the same
};

/// Adds the rows of `got` beside those of `want`, both [rows][vocabulary]: the sum of their divergences to
/// meanKl, which the caller divides at the end. NaN counts as infinity.
void addDivergence(const std::vector<float>& want, const std::vector<float>& got, size_t vocabulary,
                   Divergence& out);

}  // namespace conclave::engine::offline
