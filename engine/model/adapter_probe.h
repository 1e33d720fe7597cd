#pragma once

#include <optional>
#include <span>

#include "engine/base/result.h"
#include "engine/formats/adapter_file.h"
#include "engine/model/adapter.h"
#include "engine/model/adapter_names.h"
#include "engine/model/config.h"
#include "engine/model/matrix_table.h"

namespace conclave::engine::model {

/// What an adapter was loaded from, and for.
struct AdapterOrigin {
    const formats::AdapterFile& file;
    std::span<const AdapterPair> pairs;
    std::optional<Orientation> orientation;  ///< of fused pairs whose shapes fit both ways
    const ModelConfig& config;
    const MatrixTable& table;
};

/// Factors that are transposed, cut at the wrong place or put beside the wrong matrix often fit all the same:
/// such an adapter loads and computes another function. This compares scale * B (A x) from memory with s * B
/// A x from the file, by the formulas of those who wrote it; what it shares with loading is what names mean
/// and which way fused experts lie. Of every kind of module one pair (of single experts two), and there the
/// first matrix and the last; x has 64 values that are not zero, and 64 outputs are compared, both spread
/// over the whole matrix. The pairs must be those that loading has accepted. Errors: Internal with the module
/// that differs.
base::Result<void> probeAdapter(const AdapterOrigin& origin, const Adapter& adapter);

/// Whether every pair has a factor or a scale that is zero; PEFT writes such adapters before training.
bool changesNothing(const Adapter& adapter);

}  // namespace conclave::engine::model
