#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/result.h"
#include "engine/formats/adapter_file.h"
#include "engine/kernels/kernels.h"
#include "engine/model/tensor_list.h"
#include "engine/platform/memory.h"

namespace conclave::engine::model {

struct Model;
struct ModelConfig;
struct MatrixTable;

/// What an adapter adds to one matrix: y += scale * B (A x).
struct LowRank {
    kernels::MatrixView a, b;  ///< A [rank][inputs], B transposed: [rank][outputs]; a.rows == 0: nothing
    float scale = 1;           ///< alpha / rank, or alpha / sqrt(rank)
};

/// How much of an adapter's file found its place.
struct AdapterCounts {
    uint32_t pairs = 0;     ///< in the file; all of them found their place, or the file was refused
    uint32_t matrices = 0;  ///< that they adapt: a fused pair each expert's, kv_b's halves together one
    struct Layer {
        uint32_t layer = 0, matrices = 0, experts = 0;  ///< experts: matrices of routed experts among them
    };
    std::vector<Layer> layers;  ///< ascending; matrices outside of layers count for none
};

/// An adapter made ready for one model: its low-rank factors by matrix, in memory of its own. Immutable once
/// loaded; may serve any number of requests at once.
struct Adapter {
    std::vector<std::vector<LowRank>> factors;  ///< by MatrixId, then expert or head; may be empty
    std::vector<base::TokenId> invocation;      ///< aLoRA: works from their last occurrence on
    AdapterCounts counts;
    uint32_t mostRank = 0;
    bool changesNothing = false;  ///< one of the factors of every pair is zero, as before training
    platform::Memory memory;

    /// What it takes in memory: its factors and the tables that find them.
    uint64_t bytes() const;

    /// What it adds to matrix `part` behind `id`; null where it adds nothing.
    const LowRank* find(MatrixId id, uint32_t part) const {
        const auto index = static_cast<size_t>(id);
        if (index >= factors.size() || part >= factors[index].size()) return nullptr;
        const LowRank& found = factors[index][part];
        return found.a.rows == 0 ? nullptr : &found;
    }
};

/// A run of a step's rows that use one adapter. Runs of the same rows add in their order.
struct AdapterRows {
    const Adapter* adapter = nullptr;
    float strength = 1;  ///< times each factor's own scale
    uint32_t firstRow = 0, rows = 0;
};

/// Asked for an adapter's bytes() before they are taken; an error refuses them. May be empty.
using ReserveMemory = std::function<base::Result<void>(uint64_t bytes)>;

/// Resolves every tensor of `file` to a matrix of `model`: PEFT's names, single experts and its fused forms,
/// and GGUF's, over bases of either kind, with the rows of Q and K in the order of the base and the factors
/// of kv_b in its two halves. A tensor that finds no place is an error, never left out. Errors:
/// AdapterMismatch, UnsupportedOption, MissingTensor (half of a pair), TensorShape, TensorFormat,
/// ValueOutOfRange (ranks, values that are not finite), OutOfMemory, what `reserve` says, and Internal where
/// what lies in memory in the end is not what the file says (adapter_probe.h).
base::Result<std::shared_ptr<const Adapter>> loadAdapter(const formats::AdapterFile& file, const Model& model,
                                                         const ReserveMemory& reserve = {});
/// The same for a model whose weights are not needed.
base::Result<std::shared_ptr<const Adapter>> loadAdapter(const formats::AdapterFile& file,
                                                         const ModelConfig& config,
                                                         const MatrixTable& matrices,
                                                         const ReserveMemory& reserve = {});

}  // namespace conclave::engine::model
