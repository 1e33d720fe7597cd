#pragma once

#include <cstdint>
#include <functional>

#include "engine/base/result.h"
#include "engine/offline/additions.h"
#include "engine/offline/merge.h"

namespace conclave::engine::offline {

/// mergeAdapters() for a model in a GGUF file; the ids of `additions` are those of outlineOf(file). The
/// options' adapters are not looked at. Errors: as mergeAdapters().
base::Result<ImportReport> mergeGguf(const MergeOptions& options, const Additions& additions,
                                     const std::function<void(uint64_t done, uint64_t total)>& progress);

}  // namespace conclave::engine::offline
