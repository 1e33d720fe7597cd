#pragma once

#include <cstdint>

namespace conclave::engine::platform {

/// What this process uses now; 0 where the system does not say.
struct ProcessUse {
    uint64_t residentBytes = 0;
    double cpuSeconds = 0;  ///< user and system, since the start
    uint64_t openFiles = 0;
};
ProcessUse processUse();

}  // namespace conclave::engine::platform
