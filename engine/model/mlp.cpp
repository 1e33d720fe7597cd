#include "engine/model/mlp.h"

namespace conclave::engine::model {

Mlp declareMlp(TensorList& tensors, const ModelConfig& c, uint32_t layer) {
    Mlp mlp;
    mlp.width = c.intermediate;
    mlp.gate = tensors.matrix(Role::Gate, layer, c.intermediate, c.hidden);
    mlp.up = tensors.matrix(Role::Up, layer, c.intermediate, c.hidden);
    mlp.down = tensors.matrix(Role::Down, layer, c.hidden, c.intermediate);
    mlp.gateBias = tensors.optionalVector(Role::GateBias, layer, c.intermediate, c.mlpBias);
    mlp.upBias = tensors.optionalVector(Role::UpBias, layer, c.intermediate, c.mlpBias);
    mlp.downBias = tensors.optionalVector(Role::DownBias, layer, c.hidden, c.mlpBias);
    return mlp;
}

void feedForward(Pass& pass, const Mlp& mlp, kernels::ConstRows h, kernels::Rows y) {
    const kernels::Rows gate = pass.view(pass.buffers.gate, mlp.width);  // [rows][width]
    const kernels::Rows up = pass.view(pass.buffers.up, mlp.width);      // [rows][width]
    project(pass, {{mlp.gate, gate}, {mlp.up, up}}, h);
    pass.addBias(mlp.gateBias, gate);
    pass.addBias(mlp.upBias, up);
    pass.kernels.gateUp(pass.launch, gate, up, gate);
    project(pass, {{mlp.down, y}}, gate);
    pass.addBias(mlp.downBias, y);
}

}  // namespace conclave::engine::model
