#pragma once

#include <string_view>

#include "engine/base/result.h"
#include "engine/formats/gguf.h"
#include "engine/formats/hf_folder.h"
#include "engine/model/config.h"
#include "engine/model/matrix_table.h"
#include "engine/residency/plan.h"

namespace conclave::engine::model {

/// A model without its weights: what it is made of and where each part stands in its files. Immutable.
struct Outline {
    ModelConfig config;
    MatrixTable matrices;
    residency::Plan plan;  ///< places by MatrixId; formats as stored, halves of kv_b in float32
};

/// Errors: those of the configuration; MissingTensor, TensorShape, TensorFormat, UnusedTensor.
base::Result<Outline> outlineOf(const formats::HfFolder& folder);
base::Result<Outline> outlineOf(const formats::GgufFile& file);

/// The matrices behind the ids of `list`, which `plan` was made from; `names` outlive the result.
MatrixTable matrixTableOf(Naming naming, std::span<const NameRow> names, const TensorList& list,
                          const residency::Plan& plan);

/// Whether a tensor of this name may lie in a file unused.
bool isLeftOver(std::string_view name, const ModelConfig& config, const TensorList& list);

}  // namespace conclave::engine::model
