#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/scheduler/sequence.h"

namespace conclave::engine::scheduler {

/// What one sequence contributes to a step: its next `rows` tokens.
struct BatchPart {
    Sequence* sequence = nullptr;
    uint32_t rows = 0;
};

struct BatchLimits {
    uint32_t rows = 0;   ///< of the step, as the model says
    uint32_t chunk = 0;  ///< prompt tokens of one sequence
};

/// Chooses the rows of a model's next step from its running sequences, which come in the order of goesBefore:
/// one row of each that decodes, then prompt chunks. While a sequence of higher priority has work, a prompt
/// of lower priority gets a sixteenth of a chunk, so that it slows the other little and still comes to its
/// end. Where the rows do not reach for all that decode, those that have waited longest go first. A pure
/// function; the answer is in the order of goesBefore.
std::vector<BatchPart> planBatch(std::span<Sequence* const> running, const BatchLimits& limits);

/// The order in which models get their next step, of the running sequences of all: best priority first, then
/// the model that has waited longest; one that has been passed over for 16 steps goes first whatever its
/// priority.
std::vector<std::vector<Sequence*>> modelsInOrder(std::span<Sequence* const> running, uint64_t step);

}  // namespace conclave::engine::scheduler
