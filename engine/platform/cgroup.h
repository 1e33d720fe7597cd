#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace conclave::engine::platform {

/// What the control groups of this process leave it, versions 1 and 2, the tightest from its own group up to
/// the root. `root` is put before /proc and /sys; tests give a made-up tree. Read anew at each call;
/// thread-safe. Sources: Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst of Linux.
struct CgroupLimits {
    std::optional<double> processors;  ///< quota / period of the CPU controller
    std::optional<uint64_t> memory;    ///< bytes the group may hold
    std::optional<uint64_t>
        memoryLeft;  ///< of these, bytes not used yet; file cache that can be dropped is unused
};

CgroupLimits cgroupLimits(const std::string& root = "");

}  // namespace conclave::engine::platform
