#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/adapter.h"

namespace conclave::engine::offline {

/// What an adapter's files say, and with a model where it goes.
struct AdapterInfo {
    std::string path;
    std::string form;             ///< "PEFT" or "GGUF"
    std::string base;             ///< name or architecture of the base that the file names; may be empty
    std::string peftVersion;      ///< empty where the file does not say
    std::vector<uint32_t> ranks;  ///< ascending; of fused pairs that of the configuration
    double alpha = 0;             ///< of the whole file; 0 in a GGUF file: every scale is 1
    std::vector<double> alphas;   ///< those of patterns, ascending
    bool rankStabilised = false;
    std::vector<std::pair<std::string, uint32_t>> targets;  ///< pairs by the last part of their module's name
    uint32_t pairs = 0;
    uint64_t bytes = 0;                                     ///< of the factors
    std::vector<std::pair<std::string, uint64_t>> formats;  ///< bytes by format, largest first
    std::vector<int32_t> invocationTokens;
    std::string fingerprint;  ///< of its base (model/base_fingerprint.h); empty where it has none

    // With a model; every pair of the file found its place there.
    std::string model;  ///< its path; empty where none was given
    model::AdapterCounts counts;
    uint64_t loadedBytes = 0;   ///< in memory
    std::string orientation;    ///< of fused experts: "A over inputs" or "A over outputs"; empty = none are
    std::string orientationBy;  ///< "shapes" or "peft_version"
    std::vector<std::string> warnings;  ///< sentences
};

/// Reads an adapter; with a model, also attaches it to the model's matrices without loading their weights.
/// Errors: as openAdapter, and with a model as loadAdapter.
base::Result<AdapterInfo> adapterInfo(const std::string& path, const std::string& modelPath);

nlohmann::ordered_json toJson(const AdapterInfo& info);

}  // namespace conclave::engine::offline
