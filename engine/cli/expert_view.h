#pragma once

#include <cstdint>

#include "engine/offline/experts.h"
#include "engine/protocol/experts.h"

namespace conclave::engine::cli {

/// How evenly experts were used, beside an even router's figures, and the heat map of `experts` a layer.
void printExpertLoad(const offline::TextExperts& text, uint32_t experts);

/// What the engine counted of the caller's own requests, in the same way.
void printSnapshot(const protocol::ExpertsSnapshot& snapshot);

}  // namespace conclave::engine::cli
