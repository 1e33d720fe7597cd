#include "engine/model/pass.h"

namespace conclave::engine::model {

size_t kvBytesPerPosition(const ModelConfig& c, kernels::KvType type) {
    const size_t value = type == kernels::KvType::F32 ? sizeof(float) : sizeof(uint16_t);
    const size_t values = c.latentRank > 0 ? size_t{c.latentRank} + c.ropeDim
                                           : size_t{c.kvHeads} * (size_t{c.keyDim} + c.valueDim);
    return values * value;
}

kernels::KvPlace Pass::kv(uint32_t layer) const {
    return {kvType, layer * kernels::kPagePositions * kvBytesPerPosition(config, kvType)};
}

void Pass::norm(kernels::ConstRows x, VectorId weight, kernels::Rows y) {
    kernels.norm(launch, x, vector(weight), config.normEps, y);
}

void Pass::addBias(VectorId bias, kernels::Rows y) {
    if (bias != VectorId::None) kernels.addBias(launch, vector(bias), y);
}

}  // namespace conclave::engine::model
