#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/expert_load.h"
#include "engine/model/load.h"
#include "engine/offline/text_source.h"

namespace conclave::engine::offline {

struct ExpertsOptions {
    std::string model;  ///< a folder, a GGUF file or synth:SHAPE
    TextSource text;
    std::optional<TextSource> compare{};
    model::LoadOptions load{};
    size_t threads = 0;    ///< 0 = the default team
    uint32_t context = 0;  ///< most tokens that see each other; 0 = kExpertPiece; never more than the model's
    double carry = 0.8;    ///< share of a layer's load that the experts worth tuning carry together
    /// stage, done, in all; may be empty.
    std::function<void(const std::string& stage, uint64_t done, uint64_t total)> progress{};
};
inline constexpr uint32_t kExpertPiece = 4096;

/// Which experts a text met.
struct TextExperts {
    std::string name{};
    size_t files = 0;
    uint32_t skipped = 0;  ///< files that are no text
    uint64_t tokens = 0;   ///< routed; a piece's beginning-of-text token is not among them
    uint32_t pieces = 0;   ///< that do not see each other
    std::vector<model::LayerLoad> layers{};
};

/// What two texts have in common in a layer.
struct LayerOverlap {
    uint32_t layer = 0;
    double load = 0;  ///< model::commonLoad
    double top = 0;   ///< model::commonTop of the `top` busiest
};

/// The experts of a layer to tune for the text, busiest first, with the share of the load that they carry,
/// and those to leave as they are, since it hardly meets them (model::hardlyUsed).
struct LayerAdvice {
    uint32_t layer = 0;
    std::vector<uint32_t> tune;
    double carried = 0;
    std::vector<uint32_t> freeze;
};

struct ExpertsReport {
    std::string model;
    std::string kernels;  ///< row
    uint32_t experts = 0, chosen = 0;
    uint32_t piece = 0;  ///< most tokens that saw each other
    TextExperts text;
    std::optional<TextExperts> compare;
    uint32_t top = 0;  ///< busiest experts of a layer that are compared: an eighth, at least those of a token
    std::vector<LayerOverlap> overlap;
    double carry = 0;
    std::vector<LayerAdvice> advice;
    std::vector<std::string> warnings;
};

/// Runs texts through a model and says which experts they met, in production's arithmetic or as `load` says.
/// Every text is cut into pieces that fit `context`; nothing is left out. Errors: what loading says;
/// BadArgument for a model without experts or without a tokenizer; OutOfRange, TooManyThreads, OutOfMemory.
base::Result<ExpertsReport> experts(const ExpertsOptions& options);

/// model kernels experts chosen piece, text and compare{name files skipped tokens pieces worst_layer
/// layers[]}, overlap[]{layer load top}, carry, tune[]{layer carried experts[]}, freeze[]{layer experts[]},
/// warnings. A layer has what GET /conclave/v1/experts says of one.
nlohmann::ordered_json toJson(const ExpertsReport& report);

}  // namespace conclave::engine::offline
