#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/config.h"

namespace conclave::engine::model {

/// How a request steers the routers of a model. As made by default everything is as trained, to the bit.
/// Where scores are a softmax, the temperature changes the weights of the chosen experts and not which are
/// chosen; so it does with a sigmoid, unless a correction bias is added to the scores (DeepSeek-V3), and then
/// it moves choices too. Where weights are divided by their sum a higher one evens them out; where they are
/// not, it also changes how much the experts add in all.
struct RouterOptions {
    float temperature = 1;  ///< logits are divided by it; 0.05–20
    uint32_t active = 0;    ///< experts that work on a token; 0 = as trained
    float floor = 0;  ///< chosen experts below this share of the best one's score are left out; 0–1, not 1
    struct Bias {
        std::optional<uint32_t> layer;  ///< of the transformer; none = all that have experts
        uint32_t expert = 0;
        float value = 0;  ///< added to the logit; −1000–1000, or −infinity: never chosen
        auto operator<=>(const Bias&) const = default;
    };
    std::vector<Bias> biases{};  ///< those of one expert and layer add up
    bool operator==(const RouterOptions&) const = default;
};

inline constexpr float kLeastTemperature = 0.05f, kMostTemperature = 20, kMostLogitBias = 1000;

/// The one form in which options that mean the same for this model are equal: one bias for each layer and
/// expert, by layer and expert, without zeros; `active` 0 where it is as trained. What a Slice takes. Errors:
/// BadArgument for a model without experts and where too few experts are left to choose from; OutOfRange.
base::Result<RouterOptions> canonicalRouter(const RouterOptions& options, const ModelConfig& config,
                                            const std::string& model);

/// Canonical options as a part of the key of what was computed with them; empty where all is as trained.
std::string keyOf(const RouterOptions& canonical);

/// Experts that work on a token.
inline uint32_t activeExperts(const RouterOptions* canonical, const ModelConfig& config) {
    return canonical == nullptr || canonical->active == 0 ? config.chosenExperts : canonical->active;
}

}  // namespace conclave::engine::model
