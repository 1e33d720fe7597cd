#pragma once

#include <cstdint>
#include <string>

#include "engine/offline/experts.h"

namespace conclave::engine::offline {

/// How busy an expert is beside the even share of its layer, in steps from 0 (never chosen) over 4 (about
/// even) to 8 (eight times the even share or more).
uint32_t heatOf(uint32_t count, uint64_t picks, uint32_t experts);
inline constexpr uint32_t kHeats = 9;

/// A heat map for the terminal: a line for each layer, a column for each expert, at most 79 columns wide;
/// with more than 64 experts a column is the busiest of several neighbours. MaxVio and dead experts stand
/// behind each line.
enum class Colour : uint8_t { No, Yes };
std::string heatMap(const TextExperts& text, uint32_t experts, Colour colour);

/// The heat map of the text, and of the other where there is one, as an SVG picture.
std::string heatMapSvg(const ExpertsReport& report);

}  // namespace conclave::engine::offline
