#pragma once

#include <string>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "engine/formats/gguf.h"
#include "engine/formats/hf_folder.h"
#include "engine/model/config.h"
#include "engine/quant/format.h"

namespace conclave::engine::offline {

/// Keys of a GGUF file in the order they are written.
using Metadata = std::vector<std::pair<std::string, formats::GgufValue>>;

/// The architecture that GGUF calls this model by ("deepseek2" for deepseek_v3).
std::string ggufArchitecture(const model::ModelConfig& config);

/// general.* and the architecture's own keys, as llama.cpp's converter writes them; `mostly` is what most of
/// the matrices are in. Errors: UnsupportedOption for what no key can say, so that no other model comes out
/// than went in.
base::Result<Metadata> modelKeys(const formats::HfFolder& folder, const model::ModelConfig& config,
                                 quant::Format mostly);

/// general.sampling.* from generation_config.json. Errors: WrongType.
base::Result<Metadata> samplingKeys(const formats::HfFolder& folder);

}  // namespace conclave::engine::offline
