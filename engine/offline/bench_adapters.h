#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/load.h"

namespace conclave::engine::offline {

struct AdapterBenchOptions {
    std::string model;  ///< a folder, a GGUF file or synth:SHAPE
    model::LoadOptions load{};
    size_t threads = 0;     ///< 0 = the default team
    uint32_t rank = 16;     ///< of the adapters, whose factors are random and F16
    uint32_t samples = 20;  ///< of each row but first_use, which has five
    /// stage, done, in all; may be empty.
    std::function<void(const std::string& stage, uint64_t done, uint64_t total)> progress{};
};

/// One figure beside what it may be. All are measured in one run, those of decoding in turns with a run
/// without adapters.
struct AdapterBenchRow {
    /// first_use (of an adapter whose file lies in the page cache: opened, hashed, attached), switch (a turn
    /// under another adapter than the turn before against one under the same), computed_again (tokens of a
    /// conversation that were in the cache and were computed again after a switch), attention and experts
    /// (what such an adapter costs of a decoded token), batch_attention and batch_experts (eight streams with
    /// an adapter each against eight with one)
    std::string name;
    std::string unit;  ///< GB/s, ms, tokens, % or x
    double value = 0;  ///< median
    double bar = 0;
    bool moreIsBetter = false;
    uint32_t samples = 0;  ///< 0: skipped
    std::string note{};    ///< why it was skipped, or what was measured

    bool met() const { return moreIsBetter ? value >= bar : value <= bar; }
};

struct AdapterBenchReport {
    std::string model, kernels;
    size_t threads = 0;
    uint32_t rank = 0;
    double decodeMs = 0;  ///< of one token without an adapter, median
    std::vector<AdapterBenchRow> rows;
};

/// Loads the model, draws adapters for it into a folder that is removed again, and measures them. Errors:
/// what loading says, OutOfMemory, FileWriteFailed, OutOfRange for the rank and for no samples,
/// TooManyThreads.
base::Result<AdapterBenchReport> benchAdapters(const AdapterBenchOptions& options);

/// model kernels threads rank decode_ms rows[] of name value unit bar met samples, note where there is one.
nlohmann::ordered_json toJson(const AdapterBenchReport& report);

}  // namespace conclave::engine::offline
