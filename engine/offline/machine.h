#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace conclave::engine::offline {

/// What this machine offers the engine.
struct Machine {
    std::string processor, features;
    size_t threads = 0;           ///< the engine's default
    size_t availableThreads = 0;  ///< the most it accepts
    uint64_t memoryBytes = 0, availableBytes = 0;
    struct KernelsRow {
        std::string name;
        bool supported = false;
    };
    std::vector<KernelsRow> kernels;  ///< best first
};

Machine inspectMachine();

nlohmann::ordered_json toJson(const Machine& machine);

}  // namespace conclave::engine::offline
