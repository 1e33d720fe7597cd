#pragma once

#include <string>

#include "engine/base/result.h"
#include "engine/model/load.h"

namespace conclave::engine::offline {

/// The words of --kernels, --activations (exact, auto, f32, bf16, int8, int8x2) and --kv (f32, f16) as
/// options of loading. Empty = exact. Errors: UnknownKernels, KernelsUnsupported, OutOfRange.
base::Result<model::LoadOptions> numericsOptions(const std::string& kernels, const std::string& activations,
                                                 const std::string& kv);

}  // namespace conclave::engine::offline
