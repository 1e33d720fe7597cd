#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/base/result.h"
#include "engine/formats/gguf.h"
#include "engine/formats/hf_folder.h"
#include "engine/model/config.h"
#include "engine/quant/format.h"

namespace conclave::engine::model {

/// The architecture that GGUF calls this model by ("deepseek2" for deepseek_v3). `config` is one that
/// configFromHf made.
std::string ggufArchitecture(const ModelConfig& config);

inline constexpr uint32_t kGgufQuantizationVersion = 2;  ///< of ggml's block formats, since May 2023

/// llama.cpp's number of general.file_type for a file whose matrices are mostly in this format; none where it
/// has none.
std::optional<uint32_t> ggufFileType(quant::Format mostly);

/// general.* and the architecture's own keys, as llama.cpp's converter writes them: what configFromGguf reads
/// back as `config`, which configFromHf made of `folder`. Of the folder only path (the model's name is its
/// last part) and config are looked at. Errors: UnsupportedOption for what no key can say, so that no other
/// model comes out than went in. Thread-safe.
base::Result<formats::GgufMetadata> modelKeys(const formats::HfFolder& folder, const ModelConfig& config,
                                              std::optional<uint32_t> fileType);

}  // namespace conclave::engine::model
