#pragma once

#include <chrono>
#include <cstdint>

namespace conclave::engine::platform {

/// Seconds since 1970, in UTC.
inline int64_t unixNow() {
    using namespace std::chrono;
    return duration_cast<seconds>(system_clock::now().time_since_epoch()).count();
}

}  // namespace conclave::engine::platform
