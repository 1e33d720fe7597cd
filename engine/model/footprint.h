#pragma once

#include <span>

#include "engine/kernels/kernels.h"
#include "engine/model/config.h"
#include "engine/model/model.h"
#include "engine/model/names.h"
#include "engine/residency/plan.h"

namespace conclave::engine::model {

/// What a token costs in a model of this plan; `roles` and `activations` by request. kvBytes is left to the
/// caller.
Footprint footprintOf(const residency::Plan& plan, std::span<const Role> roles,
                      std::span<const kernels::Activation> activations, const ModelConfig& config);

}  // namespace conclave::engine::model
