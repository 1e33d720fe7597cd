#pragma once

#include "engine/model/moe.h"
#include "engine/model/pass.h"

namespace conclave::engine::model {

/// Chooses and weighs the experts of every row of the step for one layer, as each slice's options say: fills
/// expertIds and expertWeights, [rows][pass.slots], -1 and 0 where a row has fewer. h: [rows][hidden]. Reads
/// and writes the slices' traces.
void route(Pass& pass, const Moe& moe, uint32_t layer, kernels::ConstRows h);

}  // namespace conclave::engine::model
