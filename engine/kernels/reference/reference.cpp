#include "engine/kernels/reference/operations.h"

namespace conclave::engine::kernels::reference {
namespace {

bool supported() {
    return true;
}

// Exact everywhere: the int8 form is there for fast rows to be compared with, and slower here than the float
// one.
Activation preferred(quant::Format) {
    return Activation::F32;
}

Layout layoutFor(quant::Format, Activation) {
    return Layout::Plain;
}

}  // namespace

const Kernels kRow = {
    .name = "reference",
    .family = "exact",
    .needs = "",
    .supported = supported,
    .preferred = preferred,
    .layoutFor = layoutFor,
    .scratchBytes = scratchBytes,
    .embed = embed,
    .norm = norm,
    .rope = rope,
    .matmul = matmul,
    .addBias = addBias,
    .add = add,
    .gateUp = gateUp,
    .clamp = clamp,
    .storeKv = storeKv,
    .attend = attend,
    .storeLatent = storeLatent,
    .attendLatent = attendLatent,
    .route = route,
    .gather = gather,
    .scatter = scatter,
    .combine = combine,
    .lowRank = lowRank,
};

}  // namespace conclave::engine::kernels::reference
