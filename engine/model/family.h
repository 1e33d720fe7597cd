#pragma once

#include <functional>
#include <span>
#include <string_view>

#include "engine/model/config.h"
#include "engine/model/names.h"
#include "engine/model/pass.h"
#include "engine/model/tensor_list.h"

namespace conclave::engine::model {

/// One step through all layers, from the embedding to the logits; false where it was stopped between two of
/// them.
using Layers = std::function<bool(Pass& pass)>;

/// An architecture: its tensors' names in both schemes and its forward pass. Each stands in the file of its
/// name.
struct Family {
    std::string_view name;  ///< ModelConfig::architecture
    std::span<const NameRow> names;
    /// Declares every tensor that the configuration asks for and gives the pass that uses them.
    Layers (*build)(const ModelConfig& config, TensorList& tensors);
};

extern const Family kDeepseek, kMixtral, kQwen3Moe, kOlmoe, kDense;

/// The family of that name, which a checked configuration always has.
const Family& familyOf(const ModelConfig& config);

}  // namespace conclave::engine::model
