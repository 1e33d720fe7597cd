#include "engine/model/footprint.h"

namespace conclave::engine::model {

Footprint footprintOf(const residency::Plan& plan, std::span<const Role> roles,
                      std::span<const kernels::Activation> activations, const ModelConfig& config) {
    Footprint out;
    out.weightBytes = plan.bytes;
    out.experts = config.experts;
    out.chosenExperts = config.chosenExperts;
    for (size_t i = 0; i < plan.places.size(); ++i) {
        const residency::Place& place = plan.places[i];
        const bool expert =
            roles[i] == Role::ExpertGate || roles[i] == Role::ExpertUp || roles[i] == Role::ExpertDown;
        const bool head = roles[i] == Role::Head || (roles[i] == Role::Embedding && config.tiedEmbeddings);
        if (roles[i] == Role::Embedding && !head) {
            out.tokenBytes += place.rowStride;  // one row
            continue;
        }
        const uint64_t met = expert ? config.chosenExperts : place.matrices;
        const uint64_t bytes = met * (place.matrixStride + place.scalesStride);
        out.tokenBytes += bytes;
        if (expert) out.expertBytes += bytes;
        if (place.rows <= 1) continue;  // a norm or a bias is no product
        const uint64_t operations = 2 * met * place.rows * place.cols;
        (head ? out.headOperations : out.operations)[static_cast<size_t>(activations[i])] += operations;
    }
    return out;
}

}  // namespace conclave::engine::model
