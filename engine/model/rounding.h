#pragma once

#include <string>
#include <vector>

#include "engine/kernels/kernels.h"
#include "engine/model/config.h"
#include "engine/model/load.h"
#include "engine/model/names.h"
#include "engine/residency/plan.h"

/// What the activations of each product are rounded to.
namespace conclave::engine::model {

/// Values of weights that a token meets, below which int8 activations are rounded twice (Activation::Int8x2)
/// where the user did not say: a small model answers fast in any case and feels every rounding. Measured in
/// docs/numbers.md; the layout of the weights is the same.
inline constexpr uint64_t kSmallModel = 500'000'000;

/// For a matrix of this role and format, before the model's size is known.
kernels::Activation roundingOf(ActivationChoice choice, const kernels::Kernels& kernels, Role role,
                               quant::Format format);

/// By place of the plan.
std::vector<kernels::Activation> roundingsOf(ActivationChoice choice, const kernels::Kernels& kernels,
                                             const residency::Plan& plan, std::span<const Role> roles,
                                             const ModelConfig& config);

/// The part of every cache key that names how a model computes; see Model::numericsId.
std::string numericsIdOf(const LoadOptions& options);

}  // namespace conclave::engine::model
