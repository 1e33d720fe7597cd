#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/load.h"

namespace conclave::engine::offline {

struct BenchOptions {
    std::string model;  ///< a folder, a GGUF file or synth:SHAPE
    model::LoadOptions load{};
    size_t threads = 0;               ///< 0 = the default team
    uint32_t samples = 5;             ///< of each row
    std::vector<std::string> rows{};  ///< names; empty = all
    /// stage, done, in all; may be empty.
    std::function<void(const std::string& stage, uint64_t done, uint64_t total)> progress{};
};

/// One figure and the limit that was measured right beside each of its samples.
struct BenchRow {
    /// prefill_512 prefill_2048 decode_0 decode_4096 streams_4 go_on (20 tokens on a cached prefix of 961)
    /// load peak_memory
    std::string name;
    std::string unit;          ///< tokens/s, s or bytes
    double value = 0;          ///< median
    uint64_t bytes = 0;        ///< that one token (streams_4: a step of four) reads; load: of the model
    uint64_t operations = 0;   ///< multiplications and additions of one token's matrix products
    double limit = 0;          ///< median, in the row's unit
    double share = 0;          ///< median of value over limit; where less is better, of limit over value
    uint32_t samples = 0;      ///< 0: skipped
    std::string note{};        ///< why it was skipped, or what the limit is
    model::StepTimes times{};  ///< where the time went, of all samples together
};

struct BenchReport {
    std::string model;
    std::string kernels;  ///< row
    size_t threads = 0;
    struct Limits {
        double readGbS = 0, int8GopS = 0, bf16GopS = 0, f32GflopS = 0;
    } limits;  ///< medians
    std::vector<BenchRow> rows;
};

/// Names of all rows, in order.
std::vector<std::string> benchRows();

/// Loads the model and measures it. Rows beyond the model's context are skipped and say so. Errors: what
/// loading says, OutOfMemory, OutOfRange for a row that there is not and for no samples, TooManyThreads.
base::Result<BenchReport> bench(const BenchOptions& options);

/// model kernels threads limits{read_gb_s int8_gop_s bf16_gop_s f32_gflop_s} rows[] of name value unit bytes
/// operations limit share samples, note where there is one, and times_ms of the rows that run the model.
nlohmann::ordered_json toJson(const BenchReport& report);

}  // namespace conclave::engine::offline
