#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/result.h"
#include "engine/model/config.h"

namespace conclave::engine::offline {

/// What an oracle says about one prompt: golden.json and golden.safetensors of a model's folder.
struct GoldenPrompt {
    std::string text;
    std::vector<base::TokenId> ids;     ///< of the prompt
    std::vector<base::TokenId> greedy;  ///< what a greedy answer goes on with
    std::vector<double> gaps;           ///< best minus second logit at each of its steps
    std::vector<float> logits;          ///< [ids][vocabulary]
    struct Routing {
        uint32_t layer = 0;
        std::vector<int32_t> experts;  ///< [ids][chosen]
        std::vector<float> margins;    ///< [ids], how far the last chosen stands above the first left out
    };
    std::vector<Routing> routing;  ///< layers with experts, in order
};

struct Golden {
    std::vector<GoldenPrompt> prompts;
};

/// The largest difference of these logits from the golden ones; infinity where one is not a number.
double largestError(std::span<const float> ours, const float* golden);

/// Where the golden files of a model are: `given`, else the model's folder.
std::string goldenFolder(const std::string& given, const std::string& model);

/// Reads `folder`/golden.json and golden.safetensors and checks that they fit `config`. Errors:
/// GoldenMissing, GoldenMismatch, and what the readers say.
base::Result<Golden> readGolden(const std::string& folder, const model::ModelConfig& config);

}  // namespace conclave::engine::offline
