#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/formats/gguf.h"
#include "engine/formats/hf_folder.h"
#include "engine/model/config.h"
#include "engine/model/names.h"
#include "engine/offline/additions.h"
#include "engine/quant/format.h"
#include "engine/residency/plan.h"

namespace conclave::engine::offline {

/// A GGUF file's tensors, each with the way its bytes are made from the folder's.
struct ImportTensors {
    std::vector<formats::GgufWriteTensor> tensors;
    std::vector<std::string>
        fallbacks;                     ///< GGUF names of those in F16 because blocks do not divide their rows
    std::vector<std::string> skipped;  ///< names in the folder that answering does not need
};

/// Pairs every tensor of the folder with its place in the GGUF file. The folder must outlive the result.
/// What `additions` (null = nothing) add goes into the matrices before they are encoded; their ids are those
/// of outlineOf(folder). Errors: MissingTensor, TensorShape, TensorFormat, UnusedTensor; while writing
/// ValueOutOfRange and FileChanged.
base::Result<ImportTensors> importTensors(const formats::HfFolder& folder, const model::ModelConfig& config,
                                          std::optional<quant::Format> quant,
                                          const Additions* additions = nullptr);

/// The format that a tensor is written in where `quant` is asked for the matrices.
quant::Format importFormat(model::Role role, const residency::Place& place, const model::ModelConfig& config,
                           std::optional<quant::Format> quant);

}  // namespace conclave::engine::offline
