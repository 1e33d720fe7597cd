#include <algorithm>
#include <cmath>
#include <iterator>

#include "engine/formats/json_fields.h"
#include "engine/model/config.h"
#include "engine/model/config_limits.h"
#include "engine/model/rope.h"

namespace conclave::engine::model {
namespace {

using base::Code;
using base::Error;
using base::Result;
using formats::JsonFields;
using kernels::RouteRule;
using nlohmann::json;
using Scaling = RopeConfig::Scaling;

// --- RoPE ---

/// YaRN's factor on cosines and sines: given, or the ratio of DeepSeek's two mscales, or the paper's 0.1 ln s
/// + 1.
Result<double> yarnAttentionFactor(const JsonFields& scaling, double factor) {
    if (scaling.has("attention_factor")) return scaling.number("attention_factor");
    if (!scaling.has("mscale") && !scaling.has("mscale_all_dim")) return yarnScale(factor, 1);
    CONCLAVE_TRY(const double mscale, scaling.number("mscale", 1));
    CONCLAVE_TRY(const double allDim, scaling.number("mscale_all_dim", 0));
    return yarnScale(factor, mscale) / yarnScale(factor, allDim);
}

Result<void> readYarn(const JsonFields& scaling, ModelConfig& c) {
    c.rope.scaling = Scaling::Yarn;
    CONCLAVE_TRY(c.rope.originalContext,
                 scaling.count("original_max_position_embeddings", kMostPositions, c.context));
    CONCLAVE_TRY(c.rope.betaFast, scaling.number("beta_fast", 32));
    CONCLAVE_TRY(c.rope.betaSlow, scaling.number("beta_slow", 1));
    if (!(c.rope.betaFast > 0) || !(c.rope.betaSlow > 0))
        return valueOutOfRange(scaling.file(), "rope_scaling.beta_fast and beta_slow",
                               std::to_string(c.rope.betaFast), "above 0");
    CONCLAVE_TRY(c.rope.truncate, scaling.flag("truncate", true));
    CONCLAVE_TRY(c.rope.attentionFactor, yarnAttentionFactor(scaling, c.rope.factor));
    const double stretched = std::min(c.rope.factor * c.rope.originalContext, double{kMostPositions});
    c.context = std::max(c.context, static_cast<uint32_t>(std::max(stretched, 1.0)));
    return {};
}

Result<void> readLlama3(const JsonFields& scaling, ModelConfig& c) {
    c.rope.scaling = Scaling::Llama3;
    CONCLAVE_TRY(c.rope.lowFreqFactor, scaling.number("low_freq_factor"));
    CONCLAVE_TRY(c.rope.highFreqFactor, scaling.number("high_freq_factor"));
    CONCLAVE_TRY(c.rope.originalContext, scaling.count("original_max_position_embeddings", kMostPositions));
    if (!(c.rope.highFreqFactor > c.rope.lowFreqFactor))
        return valueOutOfRange(scaling.file(), "rope_scaling.high_freq_factor",
                               std::to_string(c.rope.highFreqFactor), "above low_freq_factor");
    return {};
}

Result<void> readScaling(const JsonFields& scaling, ModelConfig& c) {
    const char* typeKey = scaling.has("rope_type") ? "rope_type" : "type";
    CONCLAVE_TRY(const std::string type, scaling.text(typeKey, "default"));
    CONCLAVE_TRY(const double partial, scaling.number("partial_rotary_factor", 1));
    if (partial != 1)
        return scaling.unsupported("partial_rotary_factor", "a rotation of a part of each head",
                                   "none of the known families trains with it");
    if (type == "default") return {};
    CONCLAVE_TRY(c.rope.factor, scaling.number("factor", 1));
    if (!(c.rope.factor > 0))
        return valueOutOfRange(scaling.file(), "rope_scaling.factor", std::to_string(c.rope.factor),
                               "above 0");
    // DeepSeek stretches the attention's temperature too, and outside the rotation (its modelling code,
    // mscale²).
    CONCLAVE_TRY(const double allDim, scaling.number("mscale_all_dim", 0));
    if (c.latentRank > 0 && allDim != 0)
        c.attentionScale *= static_cast<float>(std::pow(yarnScale(c.rope.factor, allDim), 2));
    if (type == "linear") {
        c.rope.scaling = Scaling::Linear;
        return {};
    }
    if (type == "llama3") return readLlama3(scaling, c);
    if (type == "yarn") return readYarn(scaling, c);
    return scaling.unsupported(typeKey, "rope scaling " + type, "linear, llama3 and yarn are");
}

/// rope_theta and rope_scaling, or transformers 5's rope_parameters, which holds both.
Result<void> readRope(const JsonFields& f, uint32_t dim, ModelConfig& c) {
    c.rope.dim = dim;
    CONCLAVE_TRY(c.rope.theta, f.number("rope_theta", 10000));
    CONCLAVE_TRY(const double partial, f.number("partial_rotary_factor", 1));
    if (partial != 1)
        return f.unsupported("partial_rotary_factor", "a rotation of a part of each head",
                             "none of the known families trains with it");
    if (f.has("rope_parameters")) {
        CONCLAVE_TRY(const json* object, f.object("rope_parameters"));
        const JsonFields parameters(*object, f.file(), "rope_parameters.");
        for (const auto& [key, value] : object->items())
            if (value.is_object())
                return parameters.unsupported(key.c_str(), "a rotation of its own for some layers",
                                              "none of the known families trains with it");
        CONCLAVE_TRY(c.rope.theta, parameters.number("rope_theta", c.rope.theta));
        return readScaling(parameters, c);
    }
    if (!f.has("rope_scaling")) return {};
    CONCLAVE_TRY(const json* object, f.object("rope_scaling"));
    return readScaling(JsonFields(*object, f.file(), "rope_scaling."), c);
}

// --- parts that several families share ---

/// Heads of ordinary attention, their length and their rotation.
Result<void> readHeads(const JsonFields& f, ModelConfig& c) {
    CONCLAVE_TRY(c.heads, f.count("num_attention_heads", kMostHeads));
    CONCLAVE_TRY(c.kvHeads, f.count("num_key_value_heads", kMostHeads, c.heads));
    if (!f.has("head_dim") && c.hidden % c.heads != 0)
        return valueOutOfRange(f.file(), "num_attention_heads", std::to_string(c.heads),
                               "a divisor of hidden_size " + std::to_string(c.hidden));
    CONCLAVE_TRY(c.keyDim, f.count("head_dim", kMostHeadValues, c.hidden / c.heads));
    c.valueDim = c.keyDim;
    c.attentionScale = static_cast<float>(1 / std::sqrt(static_cast<double>(std::max(c.keyDim, 1u))));
    return readRope(f, c.keyDim, c);
}

/// A window for every layer; `key` null or 0 is none.
Result<void> readWindow(const JsonFields& f, uint32_t otherwise, ModelConfig& c) {
    CONCLAVE_TRY(const uint32_t window, f.count("sliding_window", kMostPositions, otherwise));
    c.windows.assign(c.layers, window);
    return {};
}

Result<void> readBiases(const JsonFields& f, ModelConfig& c) {
    CONCLAVE_TRY(c.qkvBias, f.flag("attention_bias", false));
    c.outputBias = c.qkvBias;
    return {};
}

Result<void> readExperts(const JsonFields& f, const char* countKey, const char* widthKey, ModelConfig& c) {
    CONCLAVE_TRY(c.experts, f.count(countKey, kMostExperts));
    CONCLAVE_TRY(c.chosenExperts, f.count("num_experts_per_tok", kMostExperts));
    CONCLAVE_TRY(c.expertIntermediate, f.count(widthKey, kMostValues));
    c.moeLayer.assign(c.layers, 1);
    c.route.experts = c.experts;
    c.route.chosen = c.chosenExperts;
    return {};
}

Result<void> readQuantization(const JsonFields& f, ModelConfig& c) {
    if (!f.has("quantization_config")) return {};
    CONCLAVE_TRY(const json* object, f.object("quantization_config"));
    const JsonFields q(*object, f.file(), "quantization_config.");
    CONCLAVE_TRY(const std::string method, q.text("quant_method", ""));
    if (method != "fp8" || !q.has("weight_block_size"))
        return Error{Code::UnsupportedFormat,
                     f.file(),
                     "quantization_config",
                     {method.empty()    ? "without quant_method"
                      : method == "fp8" ? "fp8 without weight_block_size"
                                        : method,
                      "fetch the model as GGUF, or its unquantised folder and convert it with conclave "
                      "import --quant q4_0"}};
    CONCLAVE_TRY(const json* size, q.array("weight_block_size"));
    if (size->size() != 2 || !(*size)[0].is_number_unsigned() || !(*size)[1].is_number_unsigned())
        return q.wrongType("weight_block_size", "a list of two whole numbers");
    const uint64_t rows = (*size)[0].get<uint64_t>(), cols = (*size)[1].get<uint64_t>();
    if (rows < 1 || rows > kMostValues || cols < 1 || cols > kMostValues)
        return valueOutOfRange(f.file(), "quantization_config.weight_block_size", size->dump(),
                               "1 to 1048576 each");
    c.scaleBlockRows = static_cast<uint32_t>(rows);
    c.scaleBlockCols = static_cast<uint32_t>(cols);
    return {};
}

Result<void> readCommon(const JsonFields& f, ModelConfig& c) {
    CONCLAVE_TRY(c.layers, f.count("num_hidden_layers", kMostLayers));
    CONCLAVE_TRY(c.hidden, f.count("hidden_size", kMostValues));
    CONCLAVE_TRY(c.vocabulary, f.count("vocab_size", kMostTokens));
    CONCLAVE_TRY(c.context, f.count("max_position_embeddings", kMostPositions));
    CONCLAVE_TRY(c.intermediate, f.count("intermediate_size", kMostValues));
    CONCLAVE_TRY(const double eps, f.number("rms_norm_eps", 1e-6));
    if (!(eps >= 0 && eps < 1))
        return valueOutOfRange(f.file(), "rms_norm_eps", std::to_string(eps), "0 to 1");
    c.normEps = static_cast<float>(eps);
    CONCLAVE_TRY(c.tiedEmbeddings, f.flag("tie_word_embeddings", false));
    CONCLAVE_TRY(const std::string activation, f.text("hidden_act", "silu"));
    if (activation != "silu" && activation != "swish")
        return f.unsupported("hidden_act", "activation " + activation, "silu is");
    c.windows.assign(c.layers, 0);
    c.moeLayer.assign(c.layers, 0);
    c.firstMoeLayer = c.layers;
    return readQuantization(f, c);
}

// --- families ---

Result<void> readDense(const JsonFields& f, ModelConfig& c) {
    CONCLAVE_TRY_VOID(readBiases(f, c));
    CONCLAVE_TRY(c.mlpBias, f.flag("mlp_bias", false));
    return readHeads(f, c);
}

Result<void> readMistral(const JsonFields& f, ModelConfig& c) {
    CONCLAVE_TRY_VOID(readHeads(f, c));
    // null means none; only a configuration without the key gets the class's own 4096, as in transformers.
    const bool absent = !f.mentions("sliding_window");
    return readWindow(f, absent ? 4096 : 0, c);
}

Result<void> readQwen2(const JsonFields& f, ModelConfig& c) {
    c.qkvBias = true;
    CONCLAVE_TRY_VOID(readHeads(f, c));
    CONCLAVE_TRY(const bool slides, f.flag("use_sliding_window", false));
    if (!slides) return {};
    CONCLAVE_TRY_VOID(readWindow(f, f.mentions("sliding_window") ? 0 : 4096, c));
    const uint32_t window = c.windows.front();
    CONCLAVE_TRY(const uint32_t firstSliding, f.count("max_window_layers", kMostLayers, 28));
    std::fill_n(c.windows.begin(), std::min(firstSliding, c.layers), 0);
    if (!f.has("layer_types")) return {};
    CONCLAVE_TRY(const json* types, f.array("layer_types"));
    if (types->size() != c.layers)
        return valueOutOfRange(f.file(), "layer_types", std::to_string(types->size()) + " entries",
                               std::to_string(c.layers) + " layers");
    for (uint32_t layer = 0; layer < c.layers; ++layer) {
        if ((*types)[layer] != "sliding_attention" && (*types)[layer] != "full_attention")
            return f.unsupported("layer_types", (*types)[layer].dump(),
                                 "full_attention and sliding_attention are");
        c.windows[layer] = (*types)[layer] == "sliding_attention" ? window : 0;
    }
    return {};
}

Result<void> readMixtral(const JsonFields& f, ModelConfig& c) {
    CONCLAVE_TRY_VOID(readHeads(f, c));
    CONCLAVE_TRY_VOID(readWindow(f, 0, c));
    c.route.normalise = true;
    return readExperts(f, "num_local_experts", "intermediate_size", c);
}

Result<void> readQwen3Moe(const JsonFields& f, ModelConfig& c) {
    c.qkNorm = ModelConfig::QkNorm::PerHead;
    CONCLAVE_TRY_VOID(readBiases(f, c));
    CONCLAVE_TRY_VOID(readHeads(f, c));
    CONCLAVE_TRY(const bool slides, f.flag("use_sliding_window", false));
    CONCLAVE_TRY(const uint32_t window, f.count("sliding_window", kMostPositions, 0));
    if (slides && window > 0 && window < c.context)
        return f.unsupported("use_sliding_window", "a sliding window in this family",
                             "releases of transformers disagree about which layers it means");
    CONCLAVE_TRY_VOID(readExperts(f, f.has("num_experts") ? "num_experts" : "num_local_experts",
                                  "moe_intermediate_size", c));
    CONCLAVE_TRY(c.route.normalise, f.flag("norm_topk_prob", false));
    CONCLAVE_TRY(const uint32_t step, f.count("decoder_sparse_step", kMostLayers, 1));
    if (step == 0) return valueOutOfRange(f.file(), "decoder_sparse_step", "0", "1 to 512");
    for (uint32_t layer = 0; layer < c.layers; ++layer)
        c.moeLayer[layer] = (layer + 1) % step == 0;
    if (!f.has("mlp_only_layers")) return {};
    CONCLAVE_TRY(const json* dense, f.array("mlp_only_layers"));
    for (const json& layer : *dense) {
        if (!layer.is_number_unsigned()) return f.wrongType("mlp_only_layers", "a list of layers");
        if (layer.get<uint64_t>() < c.layers) c.moeLayer[layer.get<uint64_t>()] = 0;
    }
    return {};
}

Result<void> readOlmoe(const JsonFields& f, ModelConfig& c) {
    c.qkNorm = ModelConfig::QkNorm::Whole;
    CONCLAVE_TRY_VOID(readBiases(f, c));
    CONCLAVE_TRY_VOID(readHeads(f, c));
    CONCLAVE_TRY(const double clip, f.number("clip_qkv", 0));
    if (clip < 0) return valueOutOfRange(f.file(), "clip_qkv", std::to_string(clip), "at least 0");
    c.clipQkv = static_cast<float>(clip);
    CONCLAVE_TRY_VOID(
        readExperts(f, f.has("num_experts") ? "num_experts" : "num_local_experts", "intermediate_size", c));
    CONCLAVE_TRY(c.route.normalise, f.flag("norm_topk_prob", false));
    return {};
}

/// Multi-head latent attention: DeepSeek-V2, section 2.1.
Result<void> readLatentAttention(const JsonFields& f, ModelConfig& c) {
    CONCLAVE_TRY_VOID(readBiases(f, c));
    CONCLAVE_TRY(c.heads, f.count("num_attention_heads", kMostHeads));
    c.kvHeads = c.heads;
    CONCLAVE_TRY(c.latentRank, f.count("kv_lora_rank", kMostValues));
    CONCLAVE_TRY(c.queryRank, f.count("q_lora_rank", kMostValues, 0));
    CONCLAVE_TRY(c.nopeDim, f.count("qk_nope_head_dim", kMostHeadValues));
    CONCLAVE_TRY(c.ropeDim, f.count("qk_rope_head_dim", kMostHeadValues));
    CONCLAVE_TRY(c.valueDim, f.count("v_head_dim", kMostHeadValues));
    c.keyDim = c.nopeDim + c.ropeDim;
    c.attentionScale = static_cast<float>(1 / std::sqrt(static_cast<double>(std::max(c.keyDim, 1u))));
    CONCLAVE_TRY(c.rope.interleaved, f.flag("rope_interleave", true));
    return readRope(f, c.ropeDim, c);
}

/// Layers with experts, their widths and groups, in both DeepSeek versions; the rule's scores are the
/// caller's.
Result<void> readDeepseekExperts(const JsonFields& f, ModelConfig& c) {
    CONCLAVE_TRY_VOID(readExperts(f, "n_routed_experts", "moe_intermediate_size", c));
    CONCLAVE_TRY(const uint32_t shared, f.count("n_shared_experts", kMostExperts, 0));
    if (uint64_t{shared} * c.expertIntermediate > kMostValues)
        return valueOutOfRange(f.file(), "n_shared_experts", std::to_string(shared),
                               "at most 1048576 values in all");
    c.sharedIntermediate = shared * c.expertIntermediate;
    CONCLAVE_TRY(c.firstMoeLayer, f.count("first_k_dense_replace", kMostLayers, 0));
    CONCLAVE_TRY(const uint32_t every, f.count("moe_layer_freq", kMostLayers, 1));
    if (every == 0) return valueOutOfRange(f.file(), "moe_layer_freq", "0", "1 to 512");
    for (uint32_t layer = 0; layer < c.layers; ++layer)
        c.moeLayer[layer] = layer >= c.firstMoeLayer && layer % every == 0;
    CONCLAVE_TRY(const double scale, f.number("routed_scaling_factor", 1));
    c.route.scale = static_cast<float>(scale);
    return {};
}

Result<void> readGroups(const JsonFields& f, ModelConfig& c) {
    CONCLAVE_TRY(const uint32_t groups, f.count("n_group", kMostExperts, 1));
    CONCLAVE_TRY(const uint32_t chosen, f.count("topk_group", kMostExperts, 1));
    c.route.groups = std::max(groups, 1u);
    c.route.chosenGroups = c.route.groups == 1 ? 1 : std::max(chosen, 1u);
    return {};
}

Result<void> expectText(const JsonFields& f, const char* key, std::initializer_list<const char*> known) {
    CONCLAVE_TRY(const std::string value, f.text(key, *known.begin()));
    std::string names;
    for (const char* name : known) {
        if (value == name) return {};
        names += (names.empty() ? "" : ", ") + std::string(name);
    }
    return f.unsupported(key, value, "this architecture has " + names);
}

Result<void> readDeepseekV2(const JsonFields& f, ModelConfig& c) {
    CONCLAVE_TRY_VOID(readLatentAttention(f, c));
    if (!f.has("n_routed_experts")) return {};
    CONCLAVE_TRY_VOID(readDeepseekExperts(f, c));
    CONCLAVE_TRY_VOID(expectText(f, "scoring_func", {"softmax"}));
    CONCLAVE_TRY_VOID(expectText(f, "topk_method", {"greedy", "group_limited_greedy"}));
    CONCLAVE_TRY(const std::string method, f.text("topk_method", "greedy"));
    // Weights are the scores times the factor; transformers looks at norm_topk_prob in V3 only, and so do we.
    c.route.scores = RouteRule::Scores::Softmax;
    c.route.groupScore = RouteRule::GroupScore::Best;
    return method == "group_limited_greedy" ? readGroups(f, c) : Result<void>{};
}

Result<void> readDeepseekV3(const JsonFields& f, ModelConfig& c) {
    CONCLAVE_TRY_VOID(readLatentAttention(f, c));
    CONCLAVE_TRY(c.predictionLayers, f.count("num_nextn_predict_layers", kMostLayers, 0));
    if (!f.has("n_routed_experts")) return {};
    CONCLAVE_TRY_VOID(readDeepseekExperts(f, c));
    CONCLAVE_TRY_VOID(expectText(f, "scoring_func", {"sigmoid"}));
    CONCLAVE_TRY_VOID(expectText(f, "topk_method", {"noaux_tc"}));
    c.route.scores = RouteRule::Scores::Sigmoid;
    c.route.groupScore = RouteRule::GroupScore::SumOfBestTwo;
    CONCLAVE_TRY(c.route.normalise, f.flag("norm_topk_prob", true));
    return readGroups(f, c);
}

struct Reader {
    const char* modelType;
    const char* family;
    Result<void> (*read)(const JsonFields&, ModelConfig&);
};
constexpr Reader kReaders[] = {
    {"deepseek_v3", "deepseek", readDeepseekV3},
    {"deepseek_v2", "deepseek", readDeepseekV2},
    {"mixtral", "mixtral", readMixtral},
    {"qwen3_moe", "qwen3moe", readQwen3Moe},
    {"olmoe", "olmoe", readOlmoe},
    {"qwen2", "dense", readQwen2},
    {"llama", "dense", readDense},
    {"mistral", "dense", readMistral},
};

}  // namespace

Result<ModelConfig> configFromHf(const formats::HfFolder& folder) {
    const JsonFields f(folder.config, folder.path + "/config.json");
    ModelConfig c;
    CONCLAVE_TRY(c.sourceArchitecture, f.text("model_type"));
    const auto* reader = std::find_if(std::begin(kReaders), std::end(kReaders),
                                      [&](const Reader& r) { return c.sourceArchitecture == r.modelType; });
    if (reader == std::end(kReaders)) {
        std::string known;
        for (const Reader& r : kReaders)
            known += (known.empty() ? "" : ", ") + std::string(r.modelType);
        return Error{Code::UnknownArchitecture, f.file(), "model_type", {c.sourceArchitecture, known}};
    }
    c.architecture = reader->family;
    CONCLAVE_TRY_VOID(readCommon(f, c));
    CONCLAVE_TRY_VOID(reader->read(f, c));
    CONCLAVE_TRY_VOID(checkConfig(c, f.file()));
    return c;
}

}  // namespace conclave::engine::model
