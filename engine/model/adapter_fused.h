#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/model/adapter_names.h"

/// PEFT's fused form of adapted experts: one pair for all experts of a layer, behind
/// "….mlp.experts" (the outer of two wrappers) and "….mlp.experts.base_layer" (the inner one). Which of them
/// is gate and up together and which is down depends on the order of wrapping, and three releases of PEFT
/// wrote three orientations; both are decided by shapes (peft/tuners/lora/layer.py, ParamWrapper).
namespace conclave::engine::model {

/// How the fused pairs of a file lie, and by what that was decided.
struct OrientationProof {
    enum class By : uint8_t { Nothing, Shapes, Version } by = By::Nothing;
    std::optional<Orientation> orientation;
};

/// What counts for pairs whose shapes fit both ways: what another pair of the file proves, for one release
/// wrote them all, else the version that the file names; nothing where neither says. transformers 5.4 to 5.12
/// change what PEFT 0.19.0 writes, so that a proof says more than the version.
OrientationProof orientationOf(const formats::AdapterFile& file, std::span<const AdapterPair> pairs,
                               const ModelConfig& config);

/// The layer, where `module` has one of those names.
std::optional<uint32_t> fusedLayer(const std::string& module);

/// As planFactors().
base::Result<std::vector<FactorPlan>> planFused(const formats::AdapterFile& file, const AdapterPair& pair,
                                                uint32_t layer, std::optional<Orientation> orientation,
                                                const ModelConfig& config, const MatrixTable& table,
                                                std::string& scaledAs);

}  // namespace conclave::engine::model
