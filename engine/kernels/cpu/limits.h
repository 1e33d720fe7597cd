#pragma once

#include "engine/kernels/limits.h"

namespace conclave::engine::kernels::cpu {

extern const Peaks kAvx2Peaks, kAvx512Peaks;
extern const PeakLoop kAvx512Bf16Peak;

}  // namespace conclave::engine::kernels::cpu
