#pragma once

#include "engine/model/pass.h"
#include "engine/model/tensor_list.h"

namespace conclave::engine::model {

/// Grouped-query attention, as Llama, Mistral, Qwen, Mixtral and OLMoE have it.
struct Attention {
    MatrixId query = MatrixId::None, key = MatrixId::None, value = MatrixId::None, output = MatrixId::None;
    VectorId queryBias = VectorId::None, keyBias = VectorId::None, valueBias = VectorId::None,
             outputBias = VectorId::None;
    VectorId queryNorm = VectorId::None, keyNorm = VectorId::None;
};
Attention declareAttention(TensorList& tensors, const ModelConfig& config, uint32_t layer);

/// y = attention of the normed rows h, both [rows][hidden]; keys and values of the rows are stored first.
void attend(Pass& pass, const Attention& attention, uint32_t layer, kernels::ConstRows h, kernels::Rows y);

}  // namespace conclave::engine::model
