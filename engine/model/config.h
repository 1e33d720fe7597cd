#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/result.h"
#include "engine/formats/gguf.h"
#include "engine/formats/hf_folder.h"
#include "engine/kernels/kernels.h"

namespace conclave::engine::model {

/// RoPE and its scaling. Sources: RoFormer (arXiv 2104.09864), YaRN (arXiv 2309.00071), Llama 3's rule in
/// transformers.
struct RopeConfig {
    enum class Scaling : uint8_t { None, Linear, Llama3, Yarn } scaling = Scaling::None;
    double theta = 10000;
    uint32_t dim = 0;
    bool interleaved = false;
    double factor = 1;
    double lowFreqFactor = 1, highFreqFactor = 4;  ///< llama3
    uint32_t originalContext = 0;
    double betaFast = 32, betaSlow = 1;  ///< YaRN
    bool truncate = true;                ///< YaRN: the ramp begins and ends at whole dimensions
    double attentionFactor = 1;          ///< on cosines and sines
    std::vector<float> divisors;         ///< GGUF rope_freqs: inverse frequencies are divided by these
};

/// What every family needs to know about a model, from config.json or from GGUF metadata; checked, so that
/// the forward pass may trust it.
struct ModelConfig {
    std::string architecture;  ///< our name of the family: "deepseek" "mixtral" "qwen3moe" "olmoe" "dense"
    std::string sourceArchitecture;  ///< as the file says it ("deepseek_v3", "deepseek2", …)
    uint32_t layers = 0, hidden = 0, vocabulary = 0, context = 0;
    uint32_t intermediate = 0;  ///< dense MLP width
    float normEps = 1e-6f;
    bool tiedEmbeddings = false;
    RopeConfig rope;

    // attention
    uint32_t heads = 0, kvHeads = 0, keyDim = 0, valueDim = 0;  ///< of one head
    float attentionScale = 0;
    std::vector<uint32_t> windows;  ///< [layers], keys a row sees: itself and those before it; 0 = all
    bool qkvBias = false, outputBias = false,
         mlpBias = false;  ///< required; GGUF files show theirs by having them
    enum class QkNorm : uint8_t { None, PerHead, Whole } qkNorm = QkNorm::None;
    float clipQkv = 0;  ///< 0 = off

    // multi-head latent attention (DeepSeek); rank 0 = ordinary attention
    uint32_t latentRank = 0, queryRank = 0, nopeDim = 0, ropeDim = 0;

    // experts; 0 = dense
    uint32_t firstMoeLayer = 0;     ///< layers before it are dense
    std::vector<uint8_t> moeLayer;  ///< [layers], 1 where the layer has experts
    uint32_t experts = 0, chosenExperts = 0, expertIntermediate = 0, sharedIntermediate = 0;
    kernels::RouteRule route;  ///< without its bias

    uint32_t predictionLayers = 0;  ///< multi-token-prediction layers behind the others, left out
    uint32_t scaleBlockRows = 128, scaleBlockCols = 128;  ///< values that one FP8 scale covers

    std::vector<std::string> warnings;  ///< for the person who loads it
};

/// Errors: UnknownArchitecture, MissingKey, WrongType, ValueOutOfRange: every number is checked against the
/// limits that the forward pass relies on.
base::Result<ModelConfig> configFromHf(const formats::HfFolder& folder);
base::Result<ModelConfig> configFromGguf(const formats::GgufFile& file);

}  // namespace conclave::engine::model
