#pragma once

#include <string>
#include <vector>

namespace conclave::engine::platform {

/// What this processor can do, as far as our kernels ask.
struct CpuFeatures {
    std::string model;  ///< as /proc/cpuinfo names it
    bool avx2 = false, fma = false, f16c = false;
    bool avx512 = false;  ///< F, BW, DQ, VL
    bool avx512Vnni = false;
    bool avx512Bf16 = false;
};

CpuFeatures cpuFeatures();

/// The features as short names for people ("avx2 fma avx512 vnni bf16").
std::string describe(const CpuFeatures& features);

}  // namespace conclave::engine::platform
