#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/model/adapter_names.h"

/// PEFT's fused form of adapted experts: one pair for all experts of a layer, behind
/// "….mlp.experts" (the outer of two wrappers) and "….mlp.experts.base_layer" (the inner one). Which of them
/// is gate and up together and which is down depends on the order of wrapping, and three releases of PEFT
/// wrote three orientations; both are decided by shapes (peft/tuners/lora/layer.py, ParamWrapper).
namespace conclave::engine::model {

/// The layer, where `module` has one of those names.
std::optional<uint32_t> fusedLayer(const std::string& module);

/// As planFactors().
base::Result<std::vector<FactorPlan>> planFused(const formats::AdapterFile& file, const AdapterPair& pair,
                                                uint32_t layer, const ModelConfig& config,
                                                const MatrixTable& table, std::string& scaledAs);

}  // namespace conclave::engine::model
