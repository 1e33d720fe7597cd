#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/adapter.h"
#include "engine/model/load.h"

namespace conclave::engine::offline {

struct CheckOptions {
    std::string model;      ///< a folder means its safetensors, a file means itself
    std::string adapter{};  ///< PEFT folder or GGUF file that adapts every row; empty = none
    /// Folder of golden.json and golden.safetensors; empty = the adapter's, or the model's without one.
    std::string golden{};
    model::LoadOptions load{};  ///< kernels, activations, kv; exact by default
    size_t threads = 0;         ///< 0 = the default team
    uint32_t context = 0;  ///< most positions of a prompt and its greedy tokens; 0 = as many as there are
    uint64_t kvBytes = 0;  ///< most memory for their keys and values; 0 = as much as they take
    /// stage, done, in all; may be empty.
    std::function<void(const std::string& stage, uint64_t done, uint64_t total)> progress{};
};

/// How the engine compares with an oracle's golden files.
struct CheckReport {
    std::string model;
    std::string mode;     ///< "exact", else activations and KV type: "int8/f16"
    std::string kernels;  ///< row
    std::string adapter;  ///< path; empty = none
    model::AdapterCounts adapted;
    uint32_t prompts = 0;
    double maxLogitError = 0;  ///< infinity where a logit is not a number
    /// Choices of experts (a row of a layer) whose stored margin is clear, and how many of them are the same
    /// set. The others took the golden file's experts.
    uint64_t routingAgree = 0, routingForced = 0, routingTotal = 0;
    /// Greedy steps before the first whose stored gap is too small to call, and how many chose the same
    /// token.
    uint64_t greedyAgree = 0, greedyTotal = 0;
    /// Prompts whose text the model's own tokenizer turns into the golden ids; not part of the verdict,
    /// because the files may come with ids that no text gives.
    uint32_t tokensAgree = 0, tokensTotal = 0;
    bool pass = false;
    std::vector<std::string> warnings;
};

// What exact mode must keep.
inline constexpr double kMostLogitError = 2e-3;
inline constexpr float kClearMargin =
    1e-4f;  ///< of a choice of experts; at or below it the golden experts are taken
inline constexpr double kClearGap = 1e-3;  ///< of a greedy step; a run is compared up to the first below it

/// Runs the golden prompts through the model. A report whose `pass` is false is not an error; errors are
/// input that cannot be compared, and golden prompts that `context` or `kvBytes` do not hold.
base::Result<CheckReport> check(const CheckOptions& options);

/// model mode kernels [adapter adapter_pairs adapter_matrices] prompts max_logit_error routing_agree
/// routing_forced routing_total greedy_agree greedy_total pass; an error that is not a number is null.
nlohmann::json toJson(const CheckReport& report);

}  // namespace conclave::engine::offline
