#pragma once

#include <cstdint>

namespace conclave::engine::model {

/// The experts that the rows of a step chose, for a cap on how many of them one expert takes.
struct CapArgs {
    uint32_t rows = 0, slots = 0, experts = 0;
    float factor = 1;                 ///< at least 1; the cap is ceil(factor * used slots / experts)
    const float* choice = nullptr;    ///< [rows][experts], −infinity where an expert cannot be chosen
    const int32_t* forced = nullptr;  ///< [rows][slots] or null; rows whose first is not −1 are left alone
    uint32_t* load = nullptr;         ///< [experts], written: rows that each expert takes
    int32_t* ids = nullptr;           ///< [rows][slots], −1 = unused; changed
};

/// Moves rows from experts that more chose than the cap to their next-best expert with room. First choices
/// stay before second ones, earlier rows before later ones; a row that finds no room stays where it is. What
/// one row gets depends on the others: the only operation that mixes rows. Gives the number of moved slots.
/// Capacity and spilling as in GShard (arXiv 2006.16668), without dropping.
uint32_t capExperts(const CapArgs& args);

}  // namespace conclave::engine::model
