#pragma once

#include "engine/base/result.h"
#include "engine/model/adapter.h"
#include "engine/offline/adapter_base.h"
#include "engine/offline/adapter_convert.h"

namespace conclave::engine::offline {

/// convertAdapter() into a GGUF file, for an adapter that was loaded for `base`. Experts of a layer are
/// stacked, those that are not adapted as zeros. Source: llama.cpp's src/llama-adapter.cpp and
/// convert_lora_to_gguf.py.
base::Result<ConvertReport> adapterToGguf(const model::Adapter& adapter, const AdapterBase& base,
                                          const ConvertOptions& options);

/// The alpha in float32 with which alpha / rank is `scale`; the nearest where none is.
float alphaFor(float scale, uint32_t rank);

}  // namespace conclave::engine::offline
