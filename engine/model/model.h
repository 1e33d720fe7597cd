#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/result.h"
#include "engine/kernels/kernels.h"
#include "engine/model/config.h"
#include "engine/model/matrix_table.h"
#include "engine/model/route_trace.h"
#include "engine/model/router_options.h"
#include "engine/platform/team.h"

namespace conclave::engine::model {

/// How a model stores computed positions: one page holds 64 positions of all layers. The scheduler sees pages
/// as ids and bytes only.
struct KvLayout {
    kernels::KvType type = kernels::KvType::F32;
    size_t pageBytes = 0;
};

struct Adapter;
class ExpertCounts;

/// An adapter at work on a sequence.
struct AdapterUse {
    const Adapter* adapter = nullptr;
    float strength = 1;  ///< times its own scale
};

/// Consecutive new positions of one sequence.
struct Slice {
    std::span<const base::TokenId> tokens;
    uint32_t start = 0;  ///< absolute position of tokens[0]; all before it are stored in the pages
    std::span<std::byte* const> pages;  ///< covers positions 0 … start + tokens.size() - 1; 64-byte aligned
    enum class Logits : uint8_t { None, Last, All } logits = Logits::Last;
    RouteTrace* trace = nullptr;             ///< optional
    std::span<const AdapterUse> adapters{};  ///< add in this order
    uint32_t adaptedFrom = 0;                ///< absolute position from which on they work
    const RouterOptions* router = nullptr;   ///< canonical, see canonicalRouter; null = as trained
    ExpertCounts* counts = nullptr;          ///< optional; made for this model
};

/// Where the time of steps went, in nanoseconds of the thread that runs them; steps add to it.
struct StepTimes {
    uint64_t attention = 0;  ///< with its projections
    uint64_t router = 0;
    uint64_t counting = 0;     ///< part of router: of the chosen experts
    uint64_t feedForward = 0;  ///< dense layers and experts
    uint64_t head = 0;
    uint64_t all = 0;
    uint64_t waiting = 0;  ///< part of all the others: for other workers to be done
};

/// What one token costs, counted over the weights that it meets: a share of the experts, the head included.
struct Footprint {
    uint64_t weightBytes = 0;  ///< of the whole model in memory
    uint64_t tokenBytes = 0;   ///< of the weights that one token touches, the head included
    uint64_t expertBytes = 0;  ///< the part of tokenBytes that is routed experts
    uint32_t experts = 0, chosenExperts = 0;
    uint64_t kvBytes = 0;  ///< that one token reads for each position before it
    /// Multiplications and additions of the matrix products of one token without the head, by what the
    /// activations are rounded to (index: kernels::Activation), and of the head.
    uint64_t operations[kernels::kActivations] = {}, headOperations[kernels::kActivations] = {};
};

/// One pass through the model for the rows of several sequences. A slice's bits depend on its own tokens and
/// stored positions alone, never on the other slices or on where its sequence was cut into slices.
struct Step {
    std::vector<Slice> slices;
    const std::atomic<bool>* stop =
        nullptr;                 ///< looked at between layers; a stopped step's pages must be discarded
    StepTimes* times = nullptr;  ///< optional
    /// Most rows of the step that one expert takes, as a multiple of the mean over all experts; 0 = no cap,
    /// else at least 1. With it slices do depend on each other.
    float expertCap = 0;
    std::vector<float> logits;  ///< out: [rows that asked][vocabulary], in the order of the slices
};

enum class StepOutcome : uint8_t { Done, Stopped };

/// A model ready to run. Immutable once published; forward() may be called by one thread at a time (it owns a
/// workspace).
struct Model {
    ModelConfig config;
    KvLayout kv;
    /// Kernels row family + activation type + KV type + version of the numerics rules; part of every cache
    /// key.
    std::string numericsId;
    Footprint footprint;
    MatrixTable matrices;    ///< what an adapter may adapt
    uint32_t maxRows = 512;  ///< most rows (tokens of all slices together) in one step
    float expertCap = 0;     ///< for its steps, see Step; where it is not 0, computed pages belong to one
                             ///< sequence alone
    std::function<StepOutcome(Step& step, platform::Team& team)> forward;
};

}  // namespace conclave::engine::model
