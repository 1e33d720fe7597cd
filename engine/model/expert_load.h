#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/model/expert_counts.h"

namespace conclave::engine::model {

/// How evenly the experts of one layer are used. Layers are never pooled: one layer's busy expert would hide
/// behind another's idle one.
struct LoadFigures {
    double maxVio = 0;   ///< busiest over mean, − 1 (MaxVio of arXiv 2408.15664)
    double cv = 0;       ///< standard deviation over mean
    double entropy = 0;  ///< of the shares, over ln experts: 1 = even, 0 = one expert alone
    double dead = 0;     ///< experts below kDeadShare of the mean
};
inline constexpr double kDeadShare = 0.05;

/// One layer in a window of tokens.
struct LayerLoad {
    uint32_t layer = 0;                  ///< number of the transformer layer
    std::vector<uint32_t> counts{};      ///< [experts], tokens that chose each
    uint64_t picks = 0;                  ///< their sum
    std::optional<LoadFigures> load{};   ///< none where nothing was chosen
    std::optional<LoadFigures> floor{};  ///< what a router without any preference shows in such a window
};

/// Figures of one layer; none where all counts are zero.
std::optional<LoadFigures> loadOf(std::span<const uint32_t> counts);

/// What a router without preference shows on average where `tokens` tokens make `picks` choices among
/// `experts`, no expert twice for a token: what does not pass it is noise. Entropy and dead experts are exact
/// means and cv is the root of its exact mean square, since each count is binomial. The busiest expert is
/// that of independent counts, moved from the mean by √(E / (E − 1)) for the sum that is fixed: its count is
/// within 2 % of the true mean from two picks an expert on, and within 8 % below. picks: 1 to tokens ·
/// experts.
LoadFigures evenLoad(uint64_t tokens, uint64_t picks, uint32_t experts);

/// Every layer of `counts`, which are those of `tokens` tokens; `layers` as layersWithExperts() says.
std::vector<LayerLoad> loadOf(const ExpertCounts& counts, std::span<const uint32_t> layers, uint64_t tokens);

/// The layer of the largest MaxVio, the first of several; null where nothing was chosen in any.
const LayerLoad* worstLayer(std::span<const LayerLoad> layers);

/// The fewest experts that take at least this share of a layer's choices, busiest first.
std::vector<uint32_t> expertsThatCarry(std::span<const uint32_t> counts, double share);

/// The experts below kDeadShare of the mean, ascending; all where nothing was chosen.
std::vector<uint32_t> hardlyUsed(std::span<const uint32_t> counts);

/// What two texts' shares of a layer have in common, Σ min(p, q): 1 = the same load, 0 = no expert in common.
double commonLoad(std::span<const uint32_t> a, std::span<const uint32_t> b);

/// Jaccard index of the `count` busiest experts of each: those in both over those in either.
double commonTop(std::span<const uint32_t> a, std::span<const uint32_t> b, uint32_t count);

}  // namespace conclave::engine::model
