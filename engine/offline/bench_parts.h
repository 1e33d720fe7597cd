#pragma once

#include <cstdint>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/result.h"
#include "engine/model/model.h"
#include "engine/platform/memory.h"

namespace conclave::engine::offline {

/// The middle value, the upper one of two; 0 where there is none.
double median(std::vector<double> values);

/// Seconds of a clock that only goes forward.
double secondsNow();

/// Tokens of a vocabulary, the same at each call.
std::vector<base::TokenId> benchTokens(uint32_t vocabulary, uint32_t count);

/// Pages of one sequence whose positions hold small numbers, as if a text had been computed.
struct BenchPages {
    platform::Memory memory;
    std::vector<std::byte*> pages;

    /// Errors: OutOfMemory.
    static base::Result<BenchPages> make(const model::Model& model, uint32_t positions);
};

}  // namespace conclave::engine::offline
