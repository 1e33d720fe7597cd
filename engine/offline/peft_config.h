#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

namespace conclave::engine::offline {

/// What PEFT's adapter_config.json must say about an adapter.
struct PeftConfig {
    struct Module {
        std::string name;
        uint32_t rank = 0;
        double alpha = 0;  ///< its scale is alpha / rank
    };
    std::string base = {};             ///< name of the base model
    std::string fingerprint = {};      ///< of the base (model/base_fingerprint.h); empty = none is written
    std::vector<Module> modules = {};  ///< at least one
    std::set<std::string> modulesOfBase = {};  ///< all that could be adapted
    std::vector<int32_t> invocationTokens = {};
};

/// adapter_config.json: the rank and alpha that most modules have, patterns for the others, and the modules
/// by their last name where all modules of that name are adapted.
nlohmann::ordered_json peftConfig(const PeftConfig& config);

}  // namespace conclave::engine::offline
