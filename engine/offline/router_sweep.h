#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/load.h"
#include "engine/offline/divergence.h"
#include "engine/parallel/replicas.h"

namespace conclave::engine::offline {

struct SweepOptions {
    std::string model;
    std::string text;  ///< a file
    model::LoadOptions load{};
    size_t threads = 0;                 ///< 0 = the default team
    uint32_t tokens = 2000;             ///< most of the text
    uint32_t samples = 5;               ///< timings of each point, taken in turns
    std::vector<std::string> sweeps{};  ///< "active=2,4": active, temperature, floor or cap, and its values
    uint32_t devices = 0;               ///< 0 = no plan of replicas
    double extra = 0.125;               ///< most extra copies, as a share of the experts
    /// stage, done, in all; may be empty.
    std::function<void(const std::string& stage, uint64_t done, uint64_t total)> progress{};
};

/// One way of routing, beside the model as trained in the same run.
struct SweepRow {
    std::string name;            ///< "as trained", "active=2"
    double tokensPerSecond = 0;  ///< of one answer; median
    double speed = 0;            ///< over that of the model as trained; median of the pairs
    double expertsPerToken = 0;  ///< that really worked, mean over layers
    Divergence divergence;       ///< from the model as trained
    double busiest = 0;          ///< most rows of one expert over the mean, mean over layers and steps
};

/// A plan of replicas, made from what the text routed.
struct SweepReplicas {
    parallel::ReplicaPlan plan;     ///< from the whole text
    std::vector<uint32_t> numbers;  ///< of its layers
    /// Straggler factors on the second half of the text of a plan made from the first.
    std::vector<double> later;
};

struct SweepReport {
    std::string model, kernels;
    size_t threads = 0;
    uint64_t positions = 0;
    uint32_t experts = 0, chosen = 0;
    uint32_t stepRows = 0;       ///< rows of the steps that `busiest` is of and that a cap works in
    std::vector<SweepRow> rows;  ///< the model as trained first
    std::optional<SweepReplicas> replicas;  ///< where devices were given
};

/// Measures what steering the routers costs on a text: each value of each sweep alone, against the model as
/// trained with the same arithmetic. Errors: what loading and model::canonicalRouter say; BadArgument for a
/// dense model and as textTokens; OutOfRange for a sweep that is none, no samples, TooManyThreads, and as
/// parallel::planReplicas.
base::Result<SweepReport> sweepRouter(const SweepOptions& options);

/// model kernels threads positions experts chosen step_rows rows[] of name tokens_per_s speed
/// experts_per_token mean_kl same_best busiest; replicas {devices slots copies layers[] of layer neighbours
/// planned later devices} where a plan was asked for.
nlohmann::json toJson(const SweepReport& report);

}  // namespace conclave::engine::offline
