#pragma once

#include <array>
#include <cstdint>

namespace conclave::engine::sampling {

/// Philox 4x32 with ten rounds: 128 random bits that are a pure function of key and counter, the same on
/// every machine. Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC
/// 2011).
std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

/// A number in [0, 1) with 53 random bits for one token: position `position` of choice `choice` under `seed`.
double uniformAt(uint64_t seed, uint32_t choice, uint64_t position);

}  // namespace conclave::engine::sampling
