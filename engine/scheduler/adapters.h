#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/model/model.h"
#include "engine/scheduler/scheduler.h"

namespace conclave::engine::scheduler {

/// The adapters of a request as the model wants them, and what they mean for pages.
struct SequenceAdapters {
    explicit SequenceAdapters(const GenerationRequest& request);

    std::vector<model::AdapterUse> uses;  ///< those that are at work
    std::string key;                      ///< library::keyOf; empty: the base alone
    /// Position from which on they work: 0, or where the last invocation of the prompt begins; past every
    /// position where an adapter wants one and the prompt has none.
    uint32_t from = 0;
};

}  // namespace conclave::engine::scheduler
