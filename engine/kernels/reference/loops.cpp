#include "engine/kernels/reference/loops.h"

#include "engine/platform/cpu.h"

namespace conclave::engine::kernels::reference {

namespace plain {
extern const Loops table;
UnpackedShape shapeOf(quant::Format format);
}  // namespace plain
namespace fused {
extern const Loops table;
}

const Loops& plainLoops() {
    return plain::table;
}
const Loops& fusedLoops() {
    return fused::table;
}

bool fusedSupported() {
    static const bool supported = [] {
        const platform::CpuFeatures features = platform::cpuFeatures();
        return features.avx2 && features.fma && features.f16c;
    }();
    return supported;
}

const Loops& loops() {
    return fusedSupported() ? fused::table : plain::table;
}

UnpackedShape unpackedShape(quant::Format format) {
    return plain::shapeOf(format);
}

}  // namespace conclave::engine::kernels::reference
