#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/offline/check.h"
#include "engine/offline/divergence.h"

namespace conclave::engine::offline {

/// How the fast arithmetic of production (the kernels' preferred activations, F16 keys and values) compares
/// with exact mode on the same weights.
struct ProductionReport {
    std::string model;
    std::string kernels;  ///< row
    std::string adapter;  ///< path; empty = none
    model::AdapterCounts adapted;
    std::string rounded;  ///< the coarsest that is rounded: "int8", "bf16", "int8x2" or "f16 kv"
    uint32_t prompts = 0;
    uint64_t positions = 0;
    bool golden = false;                           ///< whether the next line was measured
    double maxLogitError = 0, mostLogitError = 0;  ///< against the golden logits, and what is allowed
    Divergence forced;                             ///< every choice of experts taken from exact mode
    Divergence free;                               ///< choosing for itself
    bool pass = false;
    std::vector<std::string> warnings;
};

// What production may lose against golden logits: those of random models, which a rounding moves far.
// bf16's also holds for int8 twice, whose absorbed halves of kv_b are Q8_0.
inline constexpr double kMostInt8Error = 1.5, kMostBf16Error = 0.5, kMostHalfKvError = 0.05;
// And against exact mode on a text.
inline constexpr double kMostTextKl = 5e-3, kLeastSameBest = 0.98;

struct ProductionOptions {
    CheckOptions check{};  ///< its load.activations and load.kv are not looked at
    model::ActivationChoice activations =
        model::ActivationChoice::Preferred;  ///< of the run that is compared
    std::string text{};                      ///< a file of text to measure on; empty = the golden prompts
    uint32_t tokens = 4000;                  ///< most of the text
};

/// Runs the golden prompts (the adapter's where there is one), or a text in windows of up to 2,048 tokens, in
/// exact mode and in production. Both models are in memory at once. The experts are forced to the golden
/// file's, or with a text to those that exact mode chose. Errors: as check(); BadArgument where a text was
/// given and the model has no tokenizer or the text is too short.
base::Result<ProductionReport> checkProduction(const ProductionOptions& options);

/// model mode kernels [adapter adapter_pairs adapter_matrices] rounded prompts positions max_logit_error
/// most_logit_error mean_kl same_best free_mean_kl free_same_best pass; max_logit_error is null where there
/// were no golden files.
nlohmann::json toJson(const ProductionReport& report);

}  // namespace conclave::engine::offline
