#include "engine/model/gguf_keys.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "engine/formats/json_fields.h"
#include "engine/model/rope.h"

namespace conclave::engine::model {
namespace {

using base::Code;
using base::Error;
using base::Result;
using formats::GgufMetadata;
using formats::GgufScalar;
using formats::HfFolder;
using formats::JsonFields;

struct Architecture {
    std::string_view modelType;  ///< of config.json
    std::string_view gguf;
};

constexpr Architecture kArchitectures[] = {
    {"deepseek_v3", "deepseek2"}, {"deepseek_v2", "deepseek2"}, {"mixtral", "llama"}, {"llama", "llama"},
    {"mistral", "llama"},         {"qwen3_moe", "qwen3moe"},    {"olmoe", "olmoe"},   {"qwen2", "qwen2"},
};

// llama.cpp's numbers of general.file_type: what most of the matrices are. Of the mixtures (S, M, L) the
// smallest stands for files of one format. Source: enum llama_ftype in llama.h.
struct FileType {
    quant::Format format;
    uint32_t number;
};
constexpr FileType kFileTypes[] = {
    {quant::Format::F32, 0},     {quant::Format::F16, 1},     {quant::Format::Q4_0, 2},
    {quant::Format::Q4_1, 3},    {quant::Format::Q8_0, 7},    {quant::Format::Q5_0, 8},
    {quant::Format::Q5_1, 9},    {quant::Format::Q2_K, 10},   {quant::Format::Q3_K, 11},
    {quant::Format::Q4_K, 14},   {quant::Format::Q5_K, 16},   {quant::Format::Q6_K, 18},
    {quant::Format::IQ4_NL, 25}, {quant::Format::IQ4_XS, 30}, {quant::Format::BF16, 32},
    {quant::Format::MXFP4, 38},
};

/// Writes "deepseek2.block_count" as "block_count".
class Keys {
  public:
    Keys(GgufMetadata& out, std::string architecture) : out_(out), prefix_(std::move(architecture) + ".") {}

    void count(const char* key, uint32_t value) { add(key, GgufScalar(value)); }
    void number(const char* key, double value) { add(key, GgufScalar(static_cast<float>(value))); }
    void flag(const char* key, bool value) { add(key, GgufScalar(value)); }
    void text(const char* key, std::string value) { add(key, GgufScalar(std::move(value))); }

  private:
    void add(const char* key, GgufScalar value) { out_.emplace_back(prefix_ + key, std::move(value)); }

    GgufMetadata& out_;
    std::string prefix_;
};

std::string configFile(const HfFolder& folder) {
    return folder.path + "/config.json";
}

Error cannotSay(const HfFolder& folder, const char* field, std::string what) {
    return {Code::UnsupportedOption,
            configFile(folder),
            field,
            {std::move(what), "GGUF has no key for it, so use the folder itself: it runs as it is"}};
}

/// rope_scaling, or transformers 5's rope_parameters; null where neither is there.
const nlohmann::json* ropeObject(const HfFolder& folder) {
    for (const char* key : {"rope_parameters", "rope_scaling"})
        if (folder.config.contains(key) && folder.config[key].is_object()) return &folder.config[key];
    return nullptr;
}

/// mscale_all_dim goes into yarn_log_multiplier, and what is left of the factor on cosines into attn_factor.
Result<void> yarnKeys(const HfFolder& folder, const ModelConfig& c, Keys& keys) {
    if (!c.rope.truncate) return cannotSay(folder, "rope_scaling.truncate", "false");
    double allDim = 0;
    if (const nlohmann::json* object = ropeObject(folder); object && c.latentRank > 0) {
        CONCLAVE_TRY(allDim,
                     JsonFields(*object, configFile(folder), "rope_scaling.").number("mscale_all_dim", 0));
    }
    keys.text("rope.scaling.type", "yarn");
    keys.number("rope.scaling.factor", c.rope.factor);
    keys.count("rope.scaling.original_context_length", c.rope.originalContext);
    if (allDim != 0) keys.number("rope.scaling.yarn_log_multiplier", 0.1 * allDim);
    if (c.rope.betaFast != 32) keys.number("rope.scaling.yarn_beta_fast", c.rope.betaFast);
    if (c.rope.betaSlow != 1) keys.number("rope.scaling.yarn_beta_slow", c.rope.betaSlow);
    const double implied = allDim != 0 ? 1 : yarnScale(c.rope.factor, 1);
    if (std::fabs(c.rope.attentionFactor / implied - 1) > 1e-7)
        keys.number("rope.scaling.attn_factor", c.rope.attentionFactor / implied);
    return {};
}

Result<void> ropeKeys(const HfFolder& folder, const ModelConfig& c, Keys& keys) {
    keys.number("rope.freq_base", c.rope.theta);
    keys.count("rope.dimension_count", c.rope.dim);
    switch (c.rope.scaling) {
    case RopeConfig::Scaling::None:
        return {};
    case RopeConfig::Scaling::Yarn:
        return yarnKeys(folder, c, keys);
    case RopeConfig::Scaling::Linear:
        keys.text("rope.scaling.type", "linear");
        keys.number("rope.scaling.factor", c.rope.factor);
        break;
    case RopeConfig::Scaling::Llama3:  // in the tensor rope_freqs.weight
        if (ggufArchitecture(c) != "llama") return cannotSay(folder, "rope_scaling", "llama3 in this family");
        break;
    }
    if (c.latentRank > 0)
        return cannotSay(folder, "rope_scaling", "scaling other than yarn with latent attention");
    return {};
}

/// One window for all layers is a key; a window in some of them is not.
Result<void> windowKeys(const HfFolder& folder, const ModelConfig& c, Keys& keys) {
    const auto slides = [&](uint32_t window) { return window > 0 && window < c.context; };
    if (std::none_of(c.windows.begin(), c.windows.end(), slides)) return {};
    if (std::any_of(c.windows.begin(), c.windows.end(),
                    [&](uint32_t window) { return window != c.windows[0]; }))
        return cannotSay(folder, "sliding_window", "a window in some of the layers");
    keys.count("attention.sliding_window", c.windows[0]);
    return {};
}

void latentAttentionKeys(const ModelConfig& c, Keys& keys) {
    // With kv_b in halves every head reads the one latent: to GGUF that is attention with a single key head.
    keys.count("attention.head_count_kv", 1);
    // 0 where queries are not compressed: llama.cpp asks for the key of every model that is not V2-Lite.
    keys.count("attention.q_lora_rank", c.queryRank);
    keys.count("attention.kv_lora_rank", c.latentRank);
    keys.count("attention.key_length", c.latentRank + c.ropeDim);
    keys.count("attention.value_length", c.latentRank);
    keys.count("attention.key_length_mla", c.keyDim);
    keys.count("attention.value_length_mla", c.valueDim);
}

Result<void> deepseekExpertKeys(const HfFolder& folder, const ModelConfig& c, Keys& keys) {
    const uint32_t dense = c.experts > 0 ? c.firstMoeLayer : c.layers;
    for (uint32_t layer = 0; layer < c.layers; ++layer)
        if ((c.moeLayer[layer] != 0) != (layer >= dense))
            return cannotSay(folder, "moe_layer_freq", "dense layers among those with experts");
    keys.count("leading_dense_block_count", dense);
    if (c.experts == 0) return {};
    keys.count("expert_feed_forward_length", c.expertIntermediate);
    keys.count("expert_shared_count", c.sharedIntermediate / c.expertIntermediate);
    keys.number("expert_weights_scale", c.route.scale);
    keys.flag("expert_weights_norm", c.route.normalise);
    keys.count("expert_gating_func", c.route.scores == kernels::RouteRule::Scores::Sigmoid ? 2 : 1);
    if (c.route.groups > 1) {
        keys.count("expert_group_count", c.route.groups);
        keys.count("expert_group_used_count", c.route.chosenGroups);
    }
    return {};
}

Result<void> expertKeys(const HfFolder& folder, const ModelConfig& c, Keys& keys) {
    if (c.experts > 0) {
        keys.count("expert_count", c.experts);
        keys.count("expert_used_count", c.chosenExperts);
    }
    if (c.architecture == "deepseek") return deepseekExpertKeys(folder, c, keys);
    if (c.architecture == "qwen3moe") keys.count("expert_feed_forward_length", c.expertIntermediate);
    if (c.architecture == "qwen3moe" || c.architecture == "olmoe")
        keys.flag("expert_weights_norm", c.route.normalise);
    return {};
}

}  // namespace

std::string ggufArchitecture(const ModelConfig& config) {
    for (const Architecture& row : kArchitectures)
        if (row.modelType == config.sourceArchitecture) return std::string(row.gguf);
    CONCLAVE_CHECK(false && "every architecture that config.json may name has a row");
    return {};
}

std::optional<uint32_t> ggufFileType(quant::Format mostly) {
    for (const FileType& row : kFileTypes)
        if (mostly == row.format) return row.number;
    return std::nullopt;
}

Result<GgufMetadata> modelKeys(const HfFolder& folder, const ModelConfig& c,
                               std::optional<uint32_t> fileType) {
    if (c.latentRank > 0 && !c.rope.interleaved) return cannotSay(folder, "rope_interleave", "false");
    GgufMetadata out;
    const std::string architecture = ggufArchitecture(c);
    const std::filesystem::path path = std::filesystem::path(folder.path).lexically_normal();
    const std::string name = (path.has_filename() ? path : path.parent_path()).filename().string();
    out.emplace_back("general.architecture", GgufScalar(architecture));
    out.emplace_back("general.type", GgufScalar(std::string("model")));
    if (!name.empty() && name != "." && name != "..") out.emplace_back("general.name", GgufScalar(name));
    if (fileType) out.emplace_back("general.file_type", GgufScalar(*fileType));
    out.emplace_back("general.quantization_version", GgufScalar(kGgufQuantizationVersion));

    Keys keys(out, architecture);
    keys.count("block_count", c.layers);
    keys.count("context_length", c.context);
    keys.count("embedding_length", c.hidden);
    keys.count("feed_forward_length", c.intermediate);
    keys.count("vocab_size", c.vocabulary);
    keys.count("attention.head_count", c.heads);
    keys.number("attention.layer_norm_rms_epsilon", c.normEps);
    if (c.latentRank > 0) {
        latentAttentionKeys(c, keys);
    } else {
        keys.count("attention.head_count_kv", c.kvHeads);
        keys.count("attention.key_length", c.keyDim);
        keys.count("attention.value_length", c.valueDim);
    }
    if (c.clipQkv > 0) keys.number("attention.clamp_kqv", c.clipQkv);
    CONCLAVE_TRY_VOID(windowKeys(folder, c, keys));
    CONCLAVE_TRY_VOID(ropeKeys(folder, c, keys));
    CONCLAVE_TRY_VOID(expertKeys(folder, c, keys));
    return out;
}

}  // namespace conclave::engine::model
