#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "engine/quant/format.h"

namespace conclave::engine::synth {

/// What a tensor's values are drawn from.
struct Values {
    float mean = 0;
    float deviation = 1;  ///< standard deviation
};

/// Draws one tensor's bytes in its own format, block by block: no value is ever made and encoded. The bits of
/// a block are random, its scales chosen so that the decoded values are finite, spread evenly or nearly so,
/// and have the wished deviation within a tenth (MXFP4, whose scales are powers of two, within its square
/// root of two); a mean other than 0 is for F32 alone. The bytes depend on seed, name, format, deviation and
/// place, and not on how much is asked for at once. Immutable; safe to use from many threads.
class Drawer {
  public:
    Drawer(quant::Format format, Values values, uint64_t seed, std::string_view name);

    /// The bytes from `offset` of the tensor on.
    void draw(uint64_t offset, std::span<std::byte> out) const;

  private:
    /// One piece, which has a generator of its own; as much of it as `out` holds, in whole blocks.
    void drawPiece(uint64_t piece, std::span<std::byte> out) const;

    quant::Format format_;
    Values values_;
    uint64_t key_;
    uint64_t pieceBytes_;
    std::array<uint16_t, 32> scales_{};    ///< halves, of both signs where the format has them
    std::array<uint16_t, 32> seconds_{};   ///< halves of the minimum that belongs to each scale
    std::array<uint8_t, 32> exponents_{};  ///< MXFP4's scales
    std::vector<uint16_t> steps_;          ///< F16 and BF16: the values themselves
};

}  // namespace conclave::engine::synth
