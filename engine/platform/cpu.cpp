#include "engine/platform/cpu.h"

#include <array>
#include <cstdint>
#include <cstring>
#include <fstream>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace conclave::engine::platform {
namespace {

/// What /proc/cpuinfo calls the processor, without the blanks that vendors pad it with.
std::string modelName() {
    std::ifstream in("/proc/cpuinfo");
    for (std::string line; std::getline(in, line);)
        if (line.compare(0, 10, "model name") == 0)
            if (const size_t colon = line.find(": "); colon != std::string::npos) {
                const size_t last = line.find_last_not_of(' ');
                return line.substr(colon + 2, last - colon - 1);
            }
    return "unknown processor";
}

#if defined(__x86_64__)
struct Registers {
    uint32_t a = 0, b = 0, c = 0, d = 0;
};

Registers cpuid(uint32_t leaf, uint32_t subleaf) {
    Registers r;
    __get_cpuid_count(leaf, subleaf, &r.a, &r.b, &r.c, &r.d);  // leaves zeros where the leaf does not exist
    return r;
}

/// Which register states the operating system saves (XCR0); an instruction set without them faults.
uint64_t savedStates() {
    uint32_t low = 0, high = 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return uint64_t{high} << 32 | low;
}

constexpr bool bit(uint32_t word, unsigned index) {
    return (word >> index & 1) != 0;
}
#endif

}  // namespace

// Bits: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2A, CPUID, and volume 1, 13.3
// and 15.2.
CpuFeatures cpuFeatures() {
    CpuFeatures found;
    found.model = modelName();
#if defined(__x86_64__)
    const Registers one = cpuid(1, 0), seven = cpuid(7, 0), sevenOne = cpuid(7, 1);
    const bool osxsave = bit(one.c, 27);
    const uint64_t states = osxsave ? savedStates() : 0;
    const bool ymm = (states & 0x06) == 0x06;         // SSE and AVX
    const bool zmm = ymm && (states & 0xe0) == 0xe0;  // opmask, upper halves, upper sixteen
    const bool avx = ymm && bit(one.c, 28);
    found.avx2 = avx && bit(seven.b, 5);
    found.fma = avx && bit(one.c, 12);
    found.f16c = avx && bit(one.c, 29);
    found.avx512 = zmm && bit(seven.b, 16) && bit(seven.b, 17) && bit(seven.b, 30) && bit(seven.b, 31);
    found.avx512Vnni = found.avx512 && bit(seven.c, 11);
    found.avx512Bf16 = found.avx512 && bit(sevenOne.a, 5);
#endif
    return found;
}

std::string describe(const CpuFeatures& features) {
    const std::array<std::pair<bool, const char*>, 6> names = {{{features.avx2, "avx2"},
                                                                {features.fma, "fma"},
                                                                {features.f16c, "f16c"},
                                                                {features.avx512, "avx512"},
                                                                {features.avx512Vnni, "vnni"},
                                                                {features.avx512Bf16, "bf16"}}};
    std::string text;
    for (const auto& [has, name] : names)
        if (has) text.append(text.empty() ? "" : " ").append(name);
    return text.empty() ? "none" : text;
}

}  // namespace conclave::engine::platform
