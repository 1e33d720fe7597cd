#pragma once

#include "engine/model/pass.h"
#include "engine/model/tensor_list.h"

namespace conclave::engine::model {

/// What stands before the first layer and behind the last, the same in every family.
struct Ends {
    MatrixId embedding = MatrixId::None;  ///< [vocabulary][hidden]
    VectorId finalNorm = VectorId::None;
    MatrixId head = MatrixId::None;  ///< [vocabulary][hidden]; the embedding itself where they are tied
};
Ends declareEnds(TensorList& tensors, const ModelConfig& config);

/// The tokens' rows of the embedding into pass.buffers.x.
void embed(Pass& pass, const Ends& ends);

/// Logits of the rows that asked for them, from pass.buffers.x into the step.
void writeLogits(Pass& pass, const Ends& ends);

}  // namespace conclave::engine::model
