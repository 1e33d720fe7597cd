#pragma once

#include "engine/kernels/kernels.h"

/// The fast rows of x86-64: the reference's operations (whose loops are compiled for this processor) with
/// int8 products of their own for the formats that stripes have.
namespace conclave::engine::kernels::cpu {

extern const Kernels kAvx2, kAvx512;

}  // namespace conclave::engine::kernels::cpu
