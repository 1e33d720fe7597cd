#include "engine/kernels/reference/loops/parts.h"

namespace conclave::engine::kernels::reference::CONCLAVE_LOOPS {

const Loops table = {
    .decode = decode,
    .multiply = multiply,
    .multiplyNarrow = multiplyNarrow,
    .toHalves = toHalves,
    .toBfloat16s = toBfloat16s,
    .multiplyBfloat16s = multiplyBfloat16s,
    .quantise = quantise,
    .unpack = unpack,
    .multiplyInt8 = multiplyInt8,
    .attend = attend,
    .attendSpan = attendSpan,
    .joinSpans = joinSpans,
    .endSpans = endSpans,
    .norm = norm,
    .rope = rope,
    .gateUp = gateUp,
    .softmax = softmax,
    .sigmoid = sigmoidAll,
    .addLowRank = addLowRank,
    .addScaled = addScaled,
};

}  // namespace conclave::engine::kernels::reference::CONCLAVE_LOOPS
