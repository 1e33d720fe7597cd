#pragma once

#include "engine/model/pass.h"
#include "engine/model/tensor_list.h"

namespace conclave::engine::model {

/// The gated feed-forward block: down(silu(gate x) * up x).
struct Mlp {
    MatrixId gate = MatrixId::None, up = MatrixId::None, down = MatrixId::None;
    VectorId gateBias = VectorId::None, upBias = VectorId::None, downBias = VectorId::None;
    uint32_t width = 0;
};

/// A dense layer's block, of the configuration's intermediate width.
Mlp declareMlp(TensorList& tensors, const ModelConfig& config, uint32_t layer);

/// y = block of h, both [rows][hidden].
void feedForward(Pass& pass, const Mlp& mlp, kernels::ConstRows h, kernels::Rows y);

}  // namespace conclave::engine::model
