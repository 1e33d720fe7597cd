#include <immintrin.h>

#include "engine/kernels/cpu/limits.h"

namespace conclave::engine::kernels::cpu {
namespace {

// Ten chains hide the latency of a multiplication and an addition on every processor that has AVX2.
constexpr int kChains = 10;

void int8(uint64_t rounds) {
    __m256i sum[kChains];
    for (auto& one : sum)
        one = _mm256_set1_epi8(1);
    __m256i factor = _mm256_set1_epi8(2);
    for (uint64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 16
        for (auto& one : sum) {
            one = _mm256_add_epi16(one, _mm256_maddubs_epi16(one, factor));
            __asm__("" : "+x"(one));
        }
        __asm__("" : "+x"(factor));
    }
    for (const auto& one : sum)
        __asm__ volatile("" : : "x"(one));
}

void f32(uint64_t rounds) {
    __m256 sum[kChains];
    for (auto& one : sum)
        one = _mm256_set1_ps(0.5f);
    __m256 factor = _mm256_set1_ps(0.5f);
    for (uint64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 16
        for (auto& one : sum) {
            one = _mm256_fmadd_ps(one, factor, factor);
            __asm__("" : "+x"(one));
        }
        __asm__("" : "+x"(factor));
    }
    for (const auto& one : sum)
        __asm__ volatile("" : : "x"(one));
}

void read(std::span<const std::byte> bytes) {
    const auto* from = reinterpret_cast<const __m256i*>(bytes.data());
    __m256i sum[8] = {};
    for (size_t i = 0; i < bytes.size() / 256; ++i, from += 8)
#pragma GCC unroll 8
        for (int k = 0; k < 8; ++k)
            sum[k] = _mm256_add_epi64(sum[k], _mm256_loadu_si256(from + k));
    for (const auto& one : sum)
        __asm__ volatile("" : : "x"(one));
}

}  // namespace

const Peaks kAvx2Peaks = {
    {kChains * 32 * 2.0, int8}, {kChains * 8 * 2.0, f32}, {kChains * 8 * 2.0, f32}, read};

}  // namespace conclave::engine::kernels::cpu
