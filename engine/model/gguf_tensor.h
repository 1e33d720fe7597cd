#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/model/family.h"
#include "engine/model/names.h"
#include "engine/residency/plan.h"

namespace conclave::engine::model {

/// A tensor as GGUF files of a family have it.
struct GgufTensor {
    std::string name;
    uint32_t layer = 0;           ///< 0 for those outside of layers
    std::vector<uint64_t> shape;  ///< outermost first; experts of a layer and heads of kv_b are stacked
};

/// The GGUF form of what a family declared under Hugging Face names (Family::build with a TensorList of that
/// naming). Thread-safe.
GgufTensor ggufTensor(const Family& family, Role role, const residency::Request& request);

}  // namespace conclave::engine::model
