#include <algorithm>
#include <cmath>
#include <iterator>

#include "engine/model/config.h"
#include "engine/model/config_limits.h"
#include "engine/model/rope.h"

namespace conclave::engine::model {
namespace {

using base::Code;
using base::Error;
using base::Result;
using formats::GgufFile;
using formats::TensorInfo;
using kernels::RouteRule;
using Scaling = RopeConfig::Scaling;

/// The keys of one architecture: "block_count" is read as "deepseek2.block_count".
class GgufKeys {
  public:
    GgufKeys(const GgufFile& file, std::string architecture)
        : gguf(file), prefix_(std::move(architecture) + ".") {}

    const GgufFile& gguf;

    const std::string& file() const { return gguf.path(); }
    std::string name(const char* key) const { return prefix_ + key; }
    bool has(const char* key) const { return gguf.has(name(key)); }

    /// 1 … most.
    Result<uint32_t> count(const char* key, uint32_t most) const {
        CONCLAVE_TRY(const uint64_t value, gguf.unsignedInt(name(key)));
        if (value == 0 || value > most)
            return valueOutOfRange(file(), name(key), std::to_string(value), "1 to " + std::to_string(most));
        return static_cast<uint32_t>(value);
    }
    /// 0 … most.
    Result<uint32_t> count(const char* key, uint32_t most, uint32_t otherwise) const {
        CONCLAVE_TRY(const uint64_t value, gguf.unsignedInt(name(key), uint64_t{otherwise}));
        if (value > most)
            return valueOutOfRange(file(), name(key), std::to_string(value), "0 to " + std::to_string(most));
        return static_cast<uint32_t>(value);
    }
    Result<double> number(const char* key, double otherwise) const {
        CONCLAVE_TRY(const double value, gguf.number(name(key), otherwise));
        if (!std::isfinite(value))
            return valueOutOfRange(file(), name(key), std::to_string(value), "a finite number");
        return value;
    }
    Result<bool> flag(const char* key, bool otherwise) const { return gguf.boolean(name(key), otherwise); }
    Result<std::string> text(const char* key, std::string otherwise) const {
        return gguf.text(name(key), std::move(otherwise));
    }

  private:
    std::string prefix_;
};

Error unsupported(const GgufKeys& k, const char* key, const std::string& what, const std::string& help) {
    return {Code::UnsupportedOption, k.file(), k.name(key), {what, help}};
}

bool hasTensor(const GgufKeys& k, uint32_t layer, const char* name) {
    return k.gguf.tensors().find("blk." + std::to_string(layer) + "." + name) != nullptr;
}

// --- RoPE ---

/// rope_freqs: what each inverse frequency is divided by; llama.cpp's converters write Llama 3's scaling so.
Result<void> readDivisors(const GgufKeys& k, ModelConfig& c) {
    const TensorInfo* tensor = k.gguf.tensors().find("rope_freqs.weight");
    if (tensor == nullptr) return {};
    if (tensor->format != quant::Format::F32)
        return Error{Code::TensorFormat,
                     tensor->file,
                     tensor->name,
                     {std::string(quant::info(tensor->format).name), "it is F32 in every converter"}};
    c.rope.divisors.resize(tensor->bytes.size() / sizeof(float));
    quant::info(tensor->format).decode(tensor->bytes.data(), c.rope.divisors.size(), c.rope.divisors.data());
    for (const float divisor : c.rope.divisors)
        if (!(divisor > 0) || !std::isfinite(divisor))
            return valueOutOfRange(tensor->file, tensor->name, std::to_string(divisor), "above 0");
    return {};
}

/// YaRN as llama.cpp writes it. yarn_log_multiplier is 0.1 * mscale_all_dim: where it stands, DeepSeek's two
/// mscales are taken as equal, so that cosines keep their size and the attention's temperature grows by
/// mscale².
Result<void> readYarn(const GgufKeys& k, ModelConfig& c) {
    c.rope.scaling = Scaling::Yarn;
    CONCLAVE_TRY(c.rope.originalContext,
                 k.count("rope.scaling.original_context_length", kMostPositions, c.context));
    CONCLAVE_TRY(c.rope.betaFast, k.number("rope.scaling.yarn_beta_fast", 32));
    CONCLAVE_TRY(c.rope.betaSlow, k.number("rope.scaling.yarn_beta_slow", 1));
    if (!(c.rope.betaFast > 0) || !(c.rope.betaSlow > 0))
        return valueOutOfRange(k.file(), k.name("rope.scaling.yarn_beta_fast"),
                               std::to_string(c.rope.betaFast), "above 0");
    CONCLAVE_TRY(const double extrapolation, k.number("rope.scaling.yarn_ext_factor", 1));
    if (extrapolation != 1 && extrapolation != -1)
        return unsupported(k, "rope.scaling.yarn_ext_factor", std::to_string(extrapolation), "1 is");
    CONCLAVE_TRY(const double logMultiplier, k.number("rope.scaling.yarn_log_multiplier", 0));
    CONCLAVE_TRY(const double yarnFactor, k.number("rope.scaling.yarn_attn_factor", 1));
    CONCLAVE_TRY(const double factor, k.number("rope.scaling.attn_factor", 1));
    const double allDim = logMultiplier / 0.1;
    c.rope.attentionFactor = (allDim != 0 ? 1 : yarnScale(c.rope.factor, 1)) * yarnFactor * factor;
    const double stretched = std::min(c.rope.factor * c.rope.originalContext, double{kMostPositions});
    c.context = std::max(c.context, static_cast<uint32_t>(std::max(stretched, 1.0)));
    if (c.latentRank > 0)
        c.attentionScale *= static_cast<float>(std::pow(yarnScale(c.rope.factor, allDim), 2));
    return {};
}

Result<void> readRope(const GgufKeys& k, ModelConfig& c) {
    CONCLAVE_TRY(c.rope.theta, k.number("rope.freq_base", 10000));
    CONCLAVE_TRY_VOID(readDivisors(k, c));
    CONCLAVE_TRY(const double legacy, k.number("rope.scale_linear", 1));
    CONCLAVE_TRY(c.rope.factor, k.number("rope.scaling.factor", legacy));
    CONCLAVE_TRY(const std::string type, k.text("rope.scaling.type", "linear"));
    if (c.rope.factor == 0) c.rope.factor = 1;  // llama.cpp reads 0 as "not scaled"
    if (!(c.rope.factor > 0))
        return valueOutOfRange(k.file(), k.name("rope.scaling.factor"), std::to_string(c.rope.factor),
                               "above 0");
    if (type == "yarn") return readYarn(k, c);
    if (type == "linear") {
        c.rope.scaling = c.rope.factor == 1 ? Scaling::None : Scaling::Linear;
        return {};
    }
    if (type == "none") return {};
    return unsupported(k, "rope.scaling.type", "rope scaling " + type, "none, linear and yarn are");
}

// --- parts that several families share ---

/// Rows of the embedding table. A vocabulary that is longer than the table belongs to another model.
Result<void> readVocabulary(const GgufKeys& k, ModelConfig& c) {
    const TensorInfo* table = k.gguf.tensors().find("token_embd.weight");
    if (table == nullptr) return Error{Code::MissingTensor, k.file(), "token_embd.weight", {}};
    if (table->shape.size() != 2 || table->shape[0] > kMostTokens)
        return valueOutOfRange(k.file(), "token_embd.weight",
                               std::to_string(table->shape.size()) + " dimensions",
                               "a matrix of at most 16777216 rows");
    const uint32_t rows = static_cast<uint32_t>(table->shape[0]);
    const auto tokens = k.gguf.metadata().find("tokenizer.ggml.tokens");
    if (tokens != k.gguf.metadata().end()) {
        const auto* array = std::get_if<formats::GgufArray>(&tokens->second);
        const auto* texts = array ? std::get_if<formats::TextList>(array) : nullptr;
        if (texts != nullptr && texts->size() > rows)
            return Error{Code::VocabularyMismatch,
                         k.file(),
                         "",
                         {std::to_string(texts->size()), std::to_string(rows)}};
    }
    CONCLAVE_TRY(c.vocabulary, k.count("vocab_size", kMostTokens, rows));
    if (c.vocabulary == 0) return valueOutOfRange(k.file(), k.name("vocab_size"), "0", "at least 1");
    return {};
}

Result<void> readCommon(const GgufKeys& k, ModelConfig& c) {
    CONCLAVE_TRY(c.layers, k.count("block_count", kMostLayers));
    CONCLAVE_TRY(c.hidden, k.count("embedding_length", kMostValues));
    CONCLAVE_TRY_VOID(readVocabulary(k, c));
    CONCLAVE_TRY(c.context, k.count("context_length", kMostPositions));
    CONCLAVE_TRY(c.intermediate, k.count("feed_forward_length", kMostValues, 0));
    CONCLAVE_TRY(const double eps, k.number("attention.layer_norm_rms_epsilon", 1e-6));
    if (!(eps >= 0 && eps < 1))
        return valueOutOfRange(k.file(), k.name("attention.layer_norm_rms_epsilon"), std::to_string(eps),
                               "0 to 1");
    c.normEps = static_cast<float>(eps);
    c.tiedEmbeddings = k.gguf.tensors().find("output.weight") == nullptr;
    CONCLAVE_TRY(c.heads, k.count("attention.head_count", kMostHeads));
    // Multi-token-prediction layers count as blocks where a converter kept them.
    CONCLAVE_TRY(const uint32_t prediction, k.count("nextn_predict_layers", kMostLayers, 0));
    if (prediction > 0 && prediction < c.layers && hasTensor(k, c.layers - 1, "nextn.eh_proj.weight"))
        c.layers -= prediction;
    c.predictionLayers = prediction;
    c.windows.assign(c.layers, 0);
    c.moeLayer.assign(c.layers, 0);
    c.firstMoeLayer = c.layers;
    return {};
}

/// Heads of ordinary attention. The file shows its biases by having them.
Result<void> readHeads(const GgufKeys& k, ModelConfig& c) {
    CONCLAVE_TRY(c.kvHeads, k.count("attention.head_count_kv", kMostHeads, c.heads));
    if (!k.has("attention.key_length") && c.hidden % c.heads != 0)
        return valueOutOfRange(k.file(), k.name("attention.head_count"), std::to_string(c.heads),
                               "a divisor of the embedding length " + std::to_string(c.hidden));
    CONCLAVE_TRY(c.keyDim, k.count("attention.key_length", kMostHeadValues, c.hidden / c.heads));
    CONCLAVE_TRY(c.valueDim, k.count("attention.value_length", kMostHeadValues, c.hidden / c.heads));
    CONCLAVE_TRY(c.rope.dim, k.count("rope.dimension_count", kMostHeadValues, c.keyDim));
    CONCLAVE_TRY(const uint32_t window, k.count("attention.sliding_window", kMostPositions, 0));
    c.windows.assign(c.layers, window);
    c.attentionScale = static_cast<float>(1 / std::sqrt(static_cast<double>(std::max(c.keyDim, 1u))));
    return readRope(k, c);
}

Result<void> readExperts(const GgufKeys& k, ModelConfig& c) {
    CONCLAVE_TRY(c.experts, k.count("expert_count", kMostExperts));
    CONCLAVE_TRY(c.chosenExperts, k.count("expert_used_count", kMostExperts));
    CONCLAVE_TRY(c.expertIntermediate, k.count("expert_feed_forward_length", kMostValues, c.intermediate));
    CONCLAVE_TRY(const double scale, k.number("expert_weights_scale", 1));
    c.route.experts = c.experts;
    c.route.chosen = c.chosenExperts;
    c.route.scale = scale == 0 ? 1.0f : static_cast<float>(scale);  // 0 is "not scaled" in llama.cpp
    c.moeLayer.assign(c.layers, 1);
    return {};
}

// --- families ---

Result<void> readLlama(const GgufKeys& k, ModelConfig& c) {
    // The converter stores q and k so that neighbours are rotated together; Hugging Face rotates the halves
    // of a head.
    c.rope.interleaved = true;
    CONCLAVE_TRY_VOID(readHeads(k, c));
    CONCLAVE_TRY(const uint32_t experts, k.count("expert_count", kMostExperts, 0));
    if (experts == 0) return {};
    c.architecture = "mixtral";
    c.route.normalise = true;
    return readExperts(k, c);
}

Result<void> readQwen2(const GgufKeys& k, ModelConfig& c) {
    c.qkvBias = true;
    return readHeads(k, c);
}

Result<void> readQwen3Moe(const GgufKeys& k, ModelConfig& c) {
    c.qkNorm = ModelConfig::QkNorm::PerHead;
    CONCLAVE_TRY_VOID(readHeads(k, c));
    CONCLAVE_TRY_VOID(readExperts(k, c));
    for (uint32_t layer = 0; layer < c.layers; ++layer)
        if (hasTensor(k, layer, "ffn_gate.weight")) c.moeLayer[layer] = 0;
    CONCLAVE_TRY(c.route.normalise, k.flag("expert_weights_norm", true));
    return {};
}

Result<void> readOlmoe(const GgufKeys& k, ModelConfig& c) {
    c.qkNorm = ModelConfig::QkNorm::Whole;
    CONCLAVE_TRY_VOID(readHeads(k, c));
    CONCLAVE_TRY(const double clip, k.number("attention.clamp_kqv", 0));
    if (clip < 0)
        return valueOutOfRange(k.file(), k.name("attention.clamp_kqv"), std::to_string(clip), "at least 0");
    c.clipQkv = static_cast<float>(clip);
    CONCLAVE_TRY_VOID(readExperts(k, c));
    CONCLAVE_TRY(c.route.normalise, k.flag("expert_weights_norm", false));
    return {};
}

/// key_length is that of a whole head in old files, and of the latent in files that split kv_b (those have
/// …_mla too).
Result<void> readLatentAttention(const GgufKeys& k, ModelConfig& c) {
    c.kvHeads = c.heads;
    CONCLAVE_TRY(c.latentRank, k.count("attention.kv_lora_rank", kMostValues));
    CONCLAVE_TRY(c.queryRank, k.count("attention.q_lora_rank", kMostValues, 0));
    CONCLAVE_TRY(c.ropeDim, k.count("rope.dimension_count", kMostHeadValues));
    const bool split = k.has("attention.key_length_mla");
    CONCLAVE_TRY(c.keyDim,
                 k.count(split ? "attention.key_length_mla" : "attention.key_length", kMostHeadValues));
    CONCLAVE_TRY(c.valueDim,
                 k.count(split ? "attention.value_length_mla" : "attention.value_length", kMostHeadValues));
    c.nopeDim = c.keyDim > c.ropeDim ? c.keyDim - c.ropeDim : 0;
    c.rope.dim = c.ropeDim;
    c.rope.interleaved = true;
    c.attentionScale = static_cast<float>(1 / std::sqrt(static_cast<double>(c.keyDim)));
    return readRope(k, c);
}

/// Softmax scores follow DeepSeek-V2's rule of groups, sigmoid scores V3's.
Result<void> readScores(const GgufKeys& k, ModelConfig& c) {
    constexpr uint32_t kSoftmax = 1, kSigmoid = 2;
    CONCLAVE_TRY(const uint32_t function, k.count("expert_gating_func", 255, kSoftmax));
    if (function != 0 && function != kSoftmax && function != kSigmoid)
        return unsupported(k, "expert_gating_func", std::to_string(function),
                           "1 (softmax) and 2 (sigmoid) are");
    const bool sigmoid = function == kSigmoid;
    c.route.scores = sigmoid ? RouteRule::Scores::Sigmoid : RouteRule::Scores::Softmax;
    c.route.groupScore = sigmoid ? RouteRule::GroupScore::SumOfBestTwo : RouteRule::GroupScore::Best;
    CONCLAVE_TRY(c.route.normalise, k.flag("expert_weights_norm", false));
    CONCLAVE_TRY(const uint32_t groups, k.count("expert_group_count", kMostExperts, 1));
    CONCLAVE_TRY(const uint32_t chosen, k.count("expert_group_used_count", kMostExperts, 1));
    c.route.groups = std::max(groups, 1u);
    c.route.chosenGroups = c.route.groups == 1 ? 1 : std::max(chosen, 1u);
    // DeepSeek-V2 has 160 experts in 8 groups and V3 256; files from before the keys say nothing about them.
    if (c.experts >= 160 && !k.has("expert_group_count"))
        c.warnings.push_back(
            k.file() + ": no expert_group_count, so all " + std::to_string(c.experts) +
            " experts count as one group; if this is DeepSeek-V2 or V3, convert it again, or it chooses "
            "other experts than the original");
    return {};
}

Result<void> readDeepseek(const GgufKeys& k, ModelConfig& c) {
    CONCLAVE_TRY_VOID(readLatentAttention(k, c));
    CONCLAVE_TRY(const uint32_t experts, k.count("expert_count", kMostExperts, 0));
    if (experts == 0) return {};
    CONCLAVE_TRY_VOID(readExperts(k, c));
    CONCLAVE_TRY(const uint32_t shared, k.count("expert_shared_count", kMostExperts, 0));
    if (uint64_t{shared} * c.expertIntermediate > kMostValues)
        return valueOutOfRange(k.file(), k.name("expert_shared_count"), std::to_string(shared),
                               "at most 1048576 values in all");
    c.sharedIntermediate = shared * c.expertIntermediate;
    CONCLAVE_TRY(c.firstMoeLayer, k.count("leading_dense_block_count", kMostLayers, 0));
    for (uint32_t layer = 0; layer < c.layers; ++layer)
        c.moeLayer[layer] = layer >= c.firstMoeLayer;
    return readScores(k, c);
}

struct Reader {
    const char* architecture;
    const char* family;
    Result<void> (*read)(const GgufKeys&, ModelConfig&);
};
constexpr Reader kReaders[] = {
    {"deepseek2", "deepseek", readDeepseek}, {"llama", "dense", readLlama},
    {"qwen3moe", "qwen3moe", readQwen3Moe},  {"olmoe", "olmoe", readOlmoe},
    {"qwen2", "dense", readQwen2},
};

}  // namespace

Result<ModelConfig> configFromGguf(const GgufFile& file) {
    ModelConfig c;
    CONCLAVE_TRY(const std::string type, file.text("general.type", "model"));
    if (type == "adapter") return Error{Code::IsAnAdapter, file.path(), "", {}};
    CONCLAVE_TRY(c.sourceArchitecture, file.text("general.architecture"));
    const auto* reader = std::find_if(std::begin(kReaders), std::end(kReaders), [&](const Reader& r) {
        return c.sourceArchitecture == r.architecture;
    });
    if (reader == std::end(kReaders)) {
        std::string known;
        for (const Reader& r : kReaders)
            known += (known.empty() ? "" : ", ") + std::string(r.architecture);
        return Error{
            Code::UnknownArchitecture, file.path(), "general.architecture", {c.sourceArchitecture, known}};
    }
    c.architecture = reader->family;
    const GgufKeys k(file, c.sourceArchitecture);
    CONCLAVE_TRY_VOID(readCommon(k, c));
    CONCLAVE_TRY_VOID(reader->read(k, c));
    CONCLAVE_TRY_VOID(checkConfig(c, file.path()));
    return c;
}

}  // namespace conclave::engine::model
