#include "engine/model/workspace.h"

#include <algorithm>
#include <numeric>

namespace conclave::engine::model {
namespace {

/// Deals out one piece of memory; without one it only counts.
class Arena {
  public:
    explicit Arena(std::byte* base) : base_(base) {}

    template <class T> void take(T*& out, size_t count) {
        out = base_ ? reinterpret_cast<T*>(base_ + used_) : nullptr;
        used_ += (count * sizeof(T) + 63) / 64 * 64;
    }
    size_t used() const { return used_; }

  private:
    std::byte* base_;
    size_t used_ = 0;
};

void deal(Workspace& w, const ModelConfig& c, size_t rows, Arena& arena) {
    const bool latent = c.latentRank > 0;
    const size_t slots = w.expertSlots;
    const size_t mlp = std::max(c.intermediate, c.sharedIntermediate);
    arena.take(w.x, rows * c.hidden);
    arena.take(w.h, rows * c.hidden);
    arena.take(w.y, rows * c.hidden);
    arena.take(w.q, rows * c.heads * c.keyDim);
    arena.take(w.k, latent ? 0 : rows * c.kvHeads * c.keyDim);
    arena.take(w.v, latent ? 0 : rows * c.kvHeads * c.valueDim);
    arena.take(w.attended, rows * c.heads * c.valueDim);
    arena.take(w.queryLatent, rows * c.queryRank);
    arena.take(w.latent, rows * (c.latentRank + c.ropeDim));
    arena.take(w.absorbed, rows * c.heads * (c.latentRank + c.ropeDim));
    arena.take(w.attendedLatent, rows * c.heads * c.latentRank);
    arena.take(w.gate, rows * mlp);
    arena.take(w.up, rows * mlp);
    arena.take(w.shared, c.sharedIntermediate > 0 ? rows * c.hidden : 0);
    arena.take(w.routerLogits, rows * c.experts);
    arena.take(w.routerScores, rows * c.experts);
    arena.take(w.routerChoice, rows * c.experts);
    arena.take(w.logitBias, c.experts);
    arena.take(w.expertWeights, rows * c.experts);
    arena.take(w.sorted, slots * c.hidden);
    arena.take(w.expertGate, slots * c.expertIntermediate);
    arena.take(w.expertUp, slots * c.expertIntermediate);
    arena.take(w.slots, slots * c.hidden);
    arena.take(w.cosines, rows * (c.rope.dim / 2));
    arena.take(w.sines, rows * (c.rope.dim / 2));
    arena.take(w.expertIds, rows * c.experts);
    arena.take(w.forced, rows * c.experts);
    arena.take(w.expertStart, size_t{c.experts} + 1);
    arena.take(w.expertLoad, c.experts);
    arena.take(w.sortedRow, slots);
    arena.take(w.sortedSlot, slots);
    arena.take(w.counting, rows * c.heads);
    arena.take(w.asked, rows);
    arena.take(w.scratch, w.scratchBytes);
}

/// The most values a row of any operation has.
uint32_t widestRow(const ModelConfig& c) {
    return std::max({c.hidden, c.intermediate, c.sharedIntermediate, c.expertIntermediate, c.experts,
                     c.queryRank, c.heads * std::max(c.keyDim, c.valueDim),
                     c.heads * (c.latentRank + c.ropeDim)});
}

/// The most values in a row of weights.
uint32_t deepestRow(const ModelConfig& c) {
    return std::max({c.hidden, c.intermediate, c.sharedIntermediate, c.expertIntermediate, c.queryRank,
                     c.latentRank, c.heads * c.valueDim});
}

}  // namespace

base::Result<Workspace> Workspace::make(const ModelConfig& config, const kernels::Kernels& kernels,
                                        uint32_t maxRows, size_t threads) {
    Workspace w;
    w.threads = threads;
    // One row at least finds room for as many experts as there are.
    w.expertSlots = std::max(maxRows * config.chosenExperts, config.experts);
    w.scratchBytes = kernels.scratchBytes({.rows = std::max(maxRows, w.expertSlots),
                                           .widest = widestRow(config),
                                           .deepest = deepestRow(config),
                                           .threads = threads});
    Arena count(nullptr);
    deal(w, config, maxRows, count);
    CONCLAVE_TRY(w.memory_, platform::Memory::allocate(count.used(), "the buffers of a forward pass"));
    Arena arena(w.memory_.data());
    deal(w, config, maxRows, arena);
    std::iota(w.counting, w.counting + size_t{maxRows} * config.heads, 0u);
    w.tokens.reserve(maxRows);
    w.places.reserve(maxRows);
    w.parts.reserve(std::max(config.heads, config.experts));
    w.groups.reserve(std::max(config.heads, 2 * config.experts));  // gate and up
    return w;
}

}  // namespace conclave::engine::model
