#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/model/config.h"

namespace conclave::engine::model {

struct Pass;

/// How many rows chose each expert, layer by layer: what `forward` adds the rows of a slice to that points
/// here. Rows of a stopped step are among them as far as it came. Adding never allocates. Not thread-safe.
class ExpertCounts {
  public:
    ExpertCounts() = default;  ///< of a dense model: nothing to count
    /// All zero, [layers with experts][experts].
    explicit ExpertCounts(const ModelConfig& config);

    /// Whether there is nothing to count.
    bool empty() const { return counts_.empty(); }
    uint32_t experts() const { return experts_; }
    uint32_t layers() const { return experts_ == 0 ? 0 : static_cast<uint32_t>(counts_.size() / experts_); }
    /// [experts] of the layer that is so many layers with experts after the first of them.
    std::span<const uint32_t> layer(uint32_t index) const { return {counts_.data() + at(index), experts_}; }
    std::span<uint32_t> layer(uint32_t index) { return {counts_.data() + at(index), experts_}; }

    void clear();
    /// Adds counts of the same model.
    void add(const ExpertCounts& other);
    size_t bytes() const { return counts_.capacity() * sizeof(uint32_t); }

  private:
    size_t at(uint32_t index) const { return size_t{index} * experts_; }

    uint32_t experts_ = 0;
    std::vector<uint32_t> counts_;
};

/// The transformer layers that have experts, ascending: the layers of ExpertCounts by their own numbers.
std::vector<uint32_t> layersWithExperts(const ModelConfig& config);

/// Adds what the routers of the current layer chose to the counts of the slices that have some. Slots that no
/// expert fills (negative ids) count for none.
void countExperts(Pass& pass);

}  // namespace conclave::engine::model
