#pragma once

#include <memory>
#include <string>

#include "engine/base/result.h"
#include "engine/formats/adapter_file.h"
#include "engine/model/adapter.h"
#include "engine/model/outline.h"

namespace conclave::engine::offline {

/// The model that an adapter is for, without its weights.
struct AdapterBase {
    std::string path;
    model::Outline outline;
    std::string architecture;  ///< as GGUF names it
    bool wholeKvB = false;     ///< its GGUF file has kv_b as one tensor
    std::string fingerprint;  ///< model::baseFingerprint(), with its tokens where it has a readable tokenizer
};

/// `path` is a folder, a GGUF file or "synth:…". Errors: whatever is wrong with its files.
base::Result<AdapterBase> openAdapterBase(const std::string& path);

/// model::loadAdapter() for it, with the vocabulary compared too. Errors: as there.
base::Result<std::shared_ptr<const model::Adapter>> loadFor(const AdapterBase& base,
                                                            const formats::AdapterFile& file);

}  // namespace conclave::engine::offline
