#pragma once

#include <cstdint>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/result.h"
#include "engine/kernels/kernels.h"
#include "engine/model/adapter.h"
#include "engine/model/config.h"
#include "engine/model/router_options.h"
#include "engine/platform/memory.h"

namespace conclave::engine::model {

/// Part of a projection: some rows of x through one of the matrices behind an id. Dense layers have one part
/// with all rows, MLA's absorbed halves one a head, experts one each with the rows that chose it.
struct Part {
    uint32_t matrix = 0;                ///< which of the id's matrices
    uint32_t firstRow = 0, rows = 0;    ///< of x and y
    uint32_t xColumn = 0, yColumn = 0;  ///< where the matrix's input and output begin in a row
    const uint32_t* stepRows =
        nullptr;  ///< the step's row behind each row of x, for adapters; null = the same numbers
};

/// Rows of a step that are routed in the same way.
struct RouterRows {
    const RouterOptions* options = nullptr;
    uint32_t firstRow = 0, rows = 0;
    uint32_t active = 0;  ///< experts that work on one of them
};

/// Every buffer of a forward pass, allocated once for the most rows a step may have. A step uses the first
/// rows of each.
struct Workspace {
    /// threads: the most workers a launch may have. Errors: OutOfMemory.
    static base::Result<Workspace> make(const ModelConfig& config, const kernels::Kernels& kernels,
                                        uint32_t maxRows, size_t threads);

    float* x = nullptr;               // [rows][hidden], the residual stream
    float* h = nullptr;               // [rows][hidden], normed input of a block
    float* y = nullptr;               // [rows][hidden], output of a block
    float* q = nullptr;               // [rows][heads * keyDim]
    float* k = nullptr;               // [rows][kvHeads * keyDim]; ordinary attention
    float* v = nullptr;               // [rows][kvHeads * valueDim]
    float* attended = nullptr;        // [rows][heads * valueDim]
    float* queryLatent = nullptr;     // [rows][queryRank]; MLA
    float* latent = nullptr;          // [rows][latentRank + ropeDim]
    float* absorbed = nullptr;        // [rows][heads * (latentRank + ropeDim)], queries in the latent's space
    float* attendedLatent = nullptr;  // [rows][heads * latentRank]
    float* gate = nullptr;            // [rows][intermediate or sharedIntermediate]
    float* up = nullptr;              // [rows][the same]
    float* shared = nullptr;          // [rows][hidden], output of the shared expert
    float* routerLogits = nullptr;    // [rows][experts]
    float* routerScores = nullptr;    // [rows][experts]
    float* routerChoice = nullptr;    // [rows][experts], scores that experts are chosen by
    float* logitBias = nullptr;       // [experts], of the rows at hand
    float* expertWeights = nullptr;   // [rows][slots], slots up to all experts
    float* sorted = nullptr;          // [expertSlots][hidden], rows in the order of their experts
    float* expertGate = nullptr;      // [expertSlots][expertIntermediate]
    float* expertUp = nullptr;        // [expertSlots][expertIntermediate]
    float* slots = nullptr;           // [expertSlots][hidden], in the order (row, slot)
    float* cosines = nullptr;         // [rows][rope.dim / 2]
    float* sines = nullptr;           // [rows][rope.dim / 2]
    int32_t* expertIds = nullptr;     // [rows][slots], -1 = unused
    int32_t* forced = nullptr;        // [rows][slots]
    uint32_t* expertStart = nullptr;  // [experts + 1], where each expert's rows begin in `sorted`
    uint32_t* expertLoad = nullptr;   // [experts], rows of each
    uint32_t* sortedRow = nullptr;    // [expertSlots], the step's row behind each sorted row
    uint32_t* sortedSlot = nullptr;   // [expertSlots], where in `slots` each sorted row belongs
    uint32_t* counting = nullptr;     // [rows * heads], 0 1 2 …
    uint32_t* asked = nullptr;        // [rows], rows whose logits are wanted
    std::byte* scratch = nullptr;
    size_t scratchBytes = 0, threads = 0;
    uint32_t expertSlots = 0;  // that experts compute at a time: all rows with the chosen of the model

    std::vector<base::TokenId> tokens;      // [rows]
    std::vector<kernels::RowPlace> places;  // [rows]
    std::vector<Part> parts;                // of the projection at hand
    std::vector<kernels::MatmulGroup> groups;
    std::vector<kernels::LowRankGroup> lowRankGroups;
    std::vector<AdapterRows> adapterRows;  // of the step
    std::vector<RouterRows> routerRows;    // of the step

  private:
    platform::Memory memory_;
};

}  // namespace conclave::engine::model
