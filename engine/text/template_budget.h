#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace conclave::engine::text {

/// What a template may use up before it is an error.
struct TemplateBudget {
    uint64_t steps = 10'000'000;            ///< nodes evaluated and loop turns
    size_t outputBytes = size_t{16} << 20;  ///< also of any one intermediate string
    size_t items = 1'000'000;               ///< of any one list
    uint32_t depth = 128;                   ///< nesting of syntax and of calls
    std::chrono::milliseconds time{2000};
};

}  // namespace conclave::engine::text
