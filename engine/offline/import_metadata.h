#pragma once

#include "engine/base/result.h"
#include "engine/formats/gguf.h"
#include "engine/formats/hf_folder.h"

namespace conclave::engine::offline {

/// Keys of a GGUF file in the order they are written.
using Metadata = formats::GgufMetadata;

/// general.sampling.* from generation_config.json. Errors: WrongType.
base::Result<Metadata> samplingKeys(const formats::HfFolder& folder);

}  // namespace conclave::engine::offline
