#include <immintrin.h>

#include "engine/kernels/cpu/limits.h"

namespace conclave::engine::kernels::cpu {
namespace {

constexpr int kChains = 10;

void int8(uint64_t rounds) {
    __m512i sum[kChains];
    for (auto& one : sum)
        one = _mm512_set1_epi8(1);
    __m512i factor = _mm512_set1_epi8(2);
    for (uint64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 16
        for (auto& one : sum) {
            one = _mm512_dpbusd_epi32(one, factor, factor);
            __asm__("" : "+v"(one));
        }
        __asm__("" : "+v"(factor));
    }
    for (const auto& one : sum)
        __asm__ volatile("" : : "v"(one));
}

void f32(uint64_t rounds) {
    __m512 sum[kChains];
    for (auto& one : sum)
        one = _mm512_set1_ps(0.5f);
    __m512 factor = _mm512_set1_ps(0.5f);
    for (uint64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 16
        for (auto& one : sum) {
            one = _mm512_fmadd_ps(one, factor, factor);
            __asm__("" : "+v"(one));
        }
        __asm__("" : "+v"(factor));
    }
    for (const auto& one : sum)
        __asm__ volatile("" : : "v"(one));
}

void bf16(uint64_t rounds) {
    __m512 sum[kChains];
    for (auto& one : sum)
        one = _mm512_set1_ps(0.5f);
    __m512i factor = _mm512_set1_epi16(0x3f00);
    for (uint64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 16
        for (auto& one : sum) {
            const auto half = reinterpret_cast<__m512bh>(factor);
            one = _mm512_dpbf16_ps(one, half, half);
            __asm__("" : "+v"(one));
        }
        __asm__("" : "+v"(factor));
    }
    for (const auto& one : sum)
        __asm__ volatile("" : : "v"(one));
}

}  // namespace

const Peaks kAvx512Peaks = {
    {kChains * 64 * 2.0, int8}, {kChains * 16 * 2.0, f32}, {kChains * 16 * 2.0, f32}, nullptr};
const PeakLoop kAvx512Bf16Peak = {kChains * 32 * 2.0, bf16};

}  // namespace conclave::engine::kernels::cpu
