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
    uint64_t step = 0;   ///< steps there have been so far
};

/// Steps that one model, or one prompt, lets go past before it is served whatever its priority.
constexpr uint64_t kPatience = 16;

/// Chooses the rows of a model's next step from its running sequences, which come in the order of goesBefore:
/// one row of each that decodes, then prompt chunks. A prompt waits while one of higher priority is computed,
/// but for no more than kPatience steps; while answers of higher priority are written it gets a sixteenth of
/// a chunk, so that it slows them little and still comes to its end. Where steps were interrupted, chunks are
/// halved for each time (Sequence::interrupted). Where the rows do not reach for all that decode, those that
/// have waited longest go first. A pure function; the answer is in the order of goesBefore.
std::vector<BatchPart> planBatch(std::span<Sequence* const> running, const BatchLimits& limits);

/// The order in which models get their next step, of the running sequences of all: best priority first, then
/// the model that has waited longest; one that has been passed over for kPatience steps goes first whatever
/// its priority.
std::vector<std::vector<Sequence*>> modelsInOrder(std::span<Sequence* const> running, uint64_t step);

}  // namespace conclave::engine::scheduler
