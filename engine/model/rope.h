#pragma once

#include <span>
#include <vector>

#include "engine/kernels/kernels.h"
#include "engine/model/config.h"

namespace conclave::engine::model {

/// YaRN's temperature, 0.1 * mscale * ln(factor) + 1; 1 where nothing is stretched (arXiv 2309.00071,
/// equation 22).
double yarnScale(double factor, double mscale);

/// Angle per position of each rotated pair, [dim / 2], scaling and divisors applied.
std::vector<double> inverseFrequencies(const RopeConfig& rope);

/// Cosines and sines of every row's position times every frequency, each [places][frequencies], times
/// `factor`. Computed in double and rounded once, so that a far position is as exact as a near one.
void fillRope(std::span<const double> frequencies, double factor, std::span<const kernels::RowPlace> places,
              float* cosines, float* sines);

}  // namespace conclave::engine::model
