#pragma once

#include "engine/model/mlp.h"
#include "engine/model/pass.h"
#include "engine/model/tensor_list.h"

namespace conclave::engine::model {

/// A layer of experts: the router, the routed experts as stacks, and the shared expert where the family has
/// one.
struct Moe {
    MatrixId router = MatrixId::None;      ///< [experts][hidden]
    VectorId routerBias = VectorId::None;  ///< [experts], for choosing only
    MatrixId gate = MatrixId::None, up = MatrixId::None, down = MatrixId::None;  ///< one matrix an expert
    Mlp shared;                                                                  ///< width 0 = none
};
Moe declareMoe(TensorList& tensors, const ModelConfig& config, uint32_t layer);

/// y = weighted sum of the chosen experts of each row of h, in slot order, the shared expert last; both
/// [rows][hidden]. Writes the slices' traces and takes the experts that they force.
void mixExperts(Pass& pass, const Moe& moe, uint32_t layer, kernels::ConstRows h, kernels::Rows y);

}  // namespace conclave::engine::model
