#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/result.h"
#include "engine/model/model.h"
#include "engine/offline/check.h"
#include "engine/platform/team.h"

namespace conclave::engine::offline {

/// How the fast arithmetic of production compares with exact mode on the same model, kept by
/// `check --production`.
struct ProductionReport {
    std::string model;
    std::string kernels;  ///< row
    std::string rounded;  ///< what is rounded most: "int8", "bf16" or "f16 KV"
    uint32_t prompts = 0;
    uint64_t positions = 0;
    /// Against the golden logits, the experts forced to the golden file's; not a number where there are no
    /// golden files (`text` was given).
    double maxLogitError = 0, mostLogitError = 0;
    /// Against exact mode, the experts forced to those that exact mode chose; then with free routing.
    double meanKl = 0, freeMeanKl = 0;
    uint64_t sameBest = 0, freeSameBest = 0;  ///< positions whose best token is the same
    bool golden = false;                      ///< whether maxLogitError was measured
    bool pass = false;
    std::vector<std::string> warnings;
};

// What production may lose on golden prompts: random models, whose logits a rounding moves as far as it can.
inline constexpr double kMostInt8Error = 1.5, kMostBf16Error = 0.5, kMostHalfKvError = 0.05;

struct ProductionOptions {
    CheckOptions check{};  ///< model, golden, kernels, threads; activations and kv as production has them
    std::string text{};    ///< a file whose text is measured instead of golden prompts; empty = golden
    uint32_t tokens = 0;   ///< most tokens of the text; 0 = all
};

/// Runs the golden prompts (or a text, in windows of the model's context) in exact mode and in production.
/// Both models are in memory at once. Errors: as check(), and TextWithoutTokenizer where a text was given and
/// the model has no tokenizer.
base::Result<ProductionReport> checkProduction(const ProductionOptions& options);

nlohmann::json toJson(const ProductionReport& report);

}  // namespace conclave::engine::offline
