#include "engine/kernels/limits.h"

#include <cstring>

#include "engine/kernels/cpu/limits.h"
#include "engine/platform/cpu.h"

namespace conclave::engine::kernels {
namespace {

// What any processor has: four lanes, as the compiler makes them.
using Four = float __attribute__((vector_size(16)));
constexpr int kChains = 8;

void plain(uint64_t rounds) {
    Four sum[kChains] = {}, factor = {0.5f, 0.5f, 0.5f, 0.5f};
    for (uint64_t i = 0; i < rounds; ++i)
        for (auto& one : sum)
            one = one * factor + factor;
    volatile float sink = 0;
    for (const auto& one : sum)
        sink = one[0];
    (void)sink;
}

void read(std::span<const std::byte> bytes) {
    uint64_t sum[4] = {};
    for (size_t at = 0; at + 32 <= bytes.size(); at += 32) {
        uint64_t words[4];
        std::memcpy(words, bytes.data() + at, 32);
        for (int i = 0; i < 4; ++i)
            sum[i] += words[i];
    }
    volatile uint64_t sink = sum[0] + sum[1] + sum[2] + sum[3];
    (void)sink;
}

constexpr PeakLoop kPlain{kChains * 4 * 2.0, plain};
constexpr Peaks kAny{kPlain, kPlain, kPlain, read};

}  // namespace

const Peaks& peaks() {
    static const Peaks best = [] {
#if defined(__x86_64__)
        const platform::CpuFeatures has = platform::cpuFeatures();
        if (has.avx512Vnni) {
            Peaks found = cpu::kAvx512Peaks;
            found.read = cpu::kAvx2Peaks.read;
            if (has.avx512Bf16) found.bf16 = cpu::kAvx512Bf16Peak;
            return found;
        }
        if (has.avx2 && has.fma) return cpu::kAvx2Peaks;
#endif
        return kAny;
    }();
    return best;
}

}  // namespace conclave::engine::kernels
