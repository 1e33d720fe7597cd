#include "engine/kernels/cpu/rows.h"

#include <algorithm>

#include "engine/kernels/cpu/bfloat16.h"
#include "engine/kernels/cpu/int8_matmul.h"
#include "engine/kernels/cpu/stripes.h"
#include "engine/kernels/reference/operations.h"
#include "engine/platform/cpu.h"

namespace conclave::engine::kernels::cpu {
namespace {

bool hasAvx2() {
    static const bool has = [] {
        const platform::CpuFeatures features = platform::cpuFeatures();
        return features.avx2 && features.fma && features.f16c;
    }();
    return has;
}

bool hasAvx512() {
    static const bool has = hasAvx2() && platform::cpuFeatures().avx512Vnni;
    return has;
}

Activation preferred(quant::Format format) {
    if (stripeForm(format).group > 0) return Activation::Int8;
    return format == quant::Format::BF16 ? Activation::BF16 : Activation::F32;
}

Layout layoutFor(quant::Format format, Activation activation) {
    const bool striped = reference::int8Terms(activation) > 0 && stripeForm(format).group > 0;
    return striped ? Layout::Stripes16 : Layout::Plain;
}

size_t scratchBytes(const ScratchShape& shape) {
    return std::max(reference::scratchBytes(shape), int8ScratchBytes(shape));
}

reference::MultiplyBfloat16s avx2Bfloat16s() {
    return reference::loops().multiplyBfloat16s;
}
reference::MultiplyBfloat16s avx512Bfloat16s() {
    static const bool has = platform::cpuFeatures().avx512Bf16;
    return has ? multiplyBfloat16sAvx512 : avx2Bfloat16s();
}

template <const TileTable& tiles, reference::MultiplyBfloat16s (*bfloat16s)()>
void matmul(Launch& launch, std::span<const MatmulGroup> groups, ConstRows x, Activation activation) {
    if (groups.empty()) return;
    const MatrixView& first = groups.front().w;
    for (const MatmulGroup& group : groups)
        CONCLAVE_CHECK(group.w.layout == first.layout && group.w.format == first.format);
    const bool striped = first.layout == Layout::Stripes16;
    if (const uint32_t terms = reference::int8Terms(activation); striped && terms > 0)
        int8Matmul(tiles, launch, groups, x, terms);
    else
        reference::matmul(launch, groups, x, activation, bfloat16s());
}

constexpr Kernels rowOf(const char* name, const char* needs, bool (*supported)(),
                        decltype(Kernels::matmul) multiply) {
    using namespace reference;
    return {.name = name,
            .family = "exact",
            .needs = needs,
            .supported = supported,
            .preferred = cpu::preferred,
            .layoutFor = cpu::layoutFor,
            .scratchBytes = cpu::scratchBytes,
            .embed = embed,
            .norm = norm,
            .rope = rope,
            .matmul = multiply,
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
            .lowRank = lowRank};
}

}  // namespace

const Kernels kAvx2 = rowOf("avx2", "AVX2, FMA and F16C", hasAvx2, matmul<kAvx2Tiles, avx2Bfloat16s>);
const Kernels kAvx512 =
    rowOf("avx512", "AVX-512 (F, BW, DQ, VL) with VNNI", hasAvx512, matmul<kAvx512Tiles, avx512Bfloat16s>);

}  // namespace conclave::engine::kernels::cpu
