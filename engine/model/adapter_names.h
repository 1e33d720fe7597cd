#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/formats/adapter_file.h"
#include "engine/model/config.h"
#include "engine/model/matrix_table.h"

namespace conclave::engine::model {

/// The tensors of one module of an adapter's file.
struct AdapterPair {
    std::string module;  ///< as the base calls it, without ".weight"
    const formats::TensorInfo* a = nullptr;
    const formats::TensorInfo* b = nullptr;
};

/// What a module's name stands for.
struct ModuleName {
    Role role;
    uint32_t layer = 0;
    std::optional<uint32_t> expert;  ///< of a name for one expert; nothing: all matrices behind the role
};

/// Where the values of one factor lie in a tensor: value i of rank k at begin + k * rankStride + i *
/// valueStride.
struct FactorSource {
    bool inA = true;  ///< in the pair's A, else in its B
    size_t begin = 0, rankStride = 0, valueStride = 0;
};

/// One matrix of the model that a pair adapts.
struct FactorPlan {
    MatrixId id = MatrixId::None;
    uint32_t part = 0, rank = 0, inputs = 0, outputs = 0;
    FactorSource a, b;
    std::vector<uint32_t> order;  ///< output o is value order[o] of b; empty = in order
};

/// How a release of PEFT laid out the pair of a fused parameter [experts][outputs][inputs].
enum class Orientation : uint8_t {
    Straight,  ///< A over inputs, B over outputs: 0.19.1 and later
    Swapped,   ///< A over outputs, B over inputs: 0.17 to 0.19.0
};

/// The pairs of `file`, ascending by module. Errors: UnsupportedOption for a tensor that is no half of a
/// pair; MissingTensor for a half without the other.
base::Result<std::vector<AdapterPair>> pairsOf(const formats::AdapterFile& file);

/// By the naming that files of this kind use; nothing where it is no matrix, and for PEFT's fused experts.
std::optional<ModuleName> moduleNamed(const std::string& module, formats::AdapterFile::Kind kind,
                                      const MatrixTable& table);

/// Every matrix that `pair` adapts. `orientation` counts where shapes leave it open; `scaledAs` becomes the
/// name under which PEFT's patterns know the module. Errors: as loadAdapter().
base::Result<std::vector<FactorPlan>> planFactors(const formats::AdapterFile& file, const AdapterPair& pair,
                                                  std::optional<Orientation> orientation,
                                                  const ModelConfig& config, const MatrixTable& table,
                                                  std::string& scaledAs);

/// Which row of a matrix with heads of `headDim` rows comes to each place, from halves of a head (Hugging
/// Face) to pairs side by side (GGUFs of the architecture llama), or back.
std::vector<uint32_t> rotatedOrder(uint32_t rows, uint32_t headDim, bool toPairs);

/// A rank beyond every matrix would be larger than what it adapts, and than the forward pass has room for.
/// Errors: ValueOutOfRange.
base::Result<void> checkRank(const formats::AdapterFile& file, const formats::TensorInfo& a, uint64_t rank,
                             uint64_t rows, uint64_t cols, const ModelConfig& config);

}  // namespace conclave::engine::model
