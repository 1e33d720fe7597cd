#pragma once

#include "engine/sampling/survey.h"

namespace conclave::engine::sampling {

// The filters, each of the candidates that the one before left and of their weights. Each leaves at least one
// candidate of at least one, in the order in which they came, in linear time.

/// Leaves the fewest of the most typical candidates whose share of all weights reaches `share`: those whose
/// information -log p is nearest to the entropy of the whole come first (Meister, Pimentel, Wiher, Cotterell,
/// "Locally typical sampling", 2022); of equals the likelier. `best` and `temperature` are what the weights
/// were made with.
void keepTypical(Candidates& candidates, double share, float best, double temperature);

/// Leaves the fewest of the likeliest whose weights reach `wanted`. No logit may be above `best`.
void keepUpTo(Candidates& candidates, double wanted, float best);

/// Leaves those whose weight is at least `share` of the largest.
void keepAbove(Candidates& candidates, double share);

double sumOf(const Candidates& candidates);

}  // namespace conclave::engine::sampling
