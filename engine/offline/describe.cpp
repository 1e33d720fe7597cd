#include "engine/offline/describe.h"

#include <algorithm>
#include <map>

#include "engine/formats/gguf.h"
#include "engine/formats/hf_folder.h"
#include "engine/library/library.h"
#include "engine/model/config.h"
#include "engine/platform/file.h"
#include "engine/quant/format.h"
#include "engine/synth/synth.h"

namespace conclave::engine::offline {
namespace {

/// Values in a tensor; of an expert's tensor only the share that works on one token counts as active.
void count(const formats::TensorInfo& tensor, const model::ModelConfig& config, ModelDescription& into) {
    uint64_t values = 1;
    for (const uint64_t d : tensor.shape)
        values *= d;
    into.parameters += values;
    const bool routed = tensor.name.find("_exps.") != std::string::npos ||
                        (tensor.name.find(".experts.") != std::string::npos &&
                         tensor.name.find("shared_experts") == std::string::npos);
    into.activeParameters += routed ? values * config.chosenExperts / std::max(config.experts, 1u) : values;
}

void describeTensors(const formats::TensorDirectory& tensors, const model::ModelConfig& config,
                     ModelDescription& into) {
    std::map<std::string, uint64_t> byFormat;
    for (const formats::TensorInfo& tensor : tensors.all()) {
        byFormat[std::string(quant::info(tensor.format).name)] += tensor.bytes.size();
        if (!tensor.name.ends_with("_scale_inv")) count(tensor, config, into);
    }
    into.bytes = tensors.totalBytes();
    into.formats.assign(byFormat.begin(), byFormat.end());
    std::sort(into.formats.begin(), into.formats.end(),
              [](const auto& a, const auto& b) { return a.second > b.second; });
}

void describeConfig(const model::ModelConfig& config, ModelDescription& into) {
    into.architecture = config.sourceArchitecture;
    into.family = config.architecture;
    into.layers = config.layers;
    into.hidden = config.hidden;
    into.vocabulary = config.vocabulary;
    into.context = config.context;
    into.heads = config.heads;
    into.kvHeads = config.kvHeads;
    into.latentRank = config.latentRank;
    into.experts = config.experts;
    into.chosenExperts = config.chosenExperts;
    into.warnings = config.warnings;
    const uint64_t perLayer = config.latentRank
                                  ? uint64_t{config.latentRank} + config.ropeDim
                                  : uint64_t{config.kvHeads} * (uint64_t{config.keyDim} + config.valueDim);
    into.kvBytesPerToken = perLayer * config.layers * sizeof(float);
}

}  // namespace

base::Result<ModelDescription> describe(const std::string& path) {
    ModelDescription out;
    out.path = path;
    if (!synth::isSpec(path) && platform::pathKind(path) == platform::PathKind::Folder) {
        CONCLAVE_TRY(const formats::HfFolder folder,
                     formats::openHfFolder(path, formats::Weights::WithWeights));
        CONCLAVE_TRY(const model::ModelConfig config, model::configFromHf(folder));
        out.container = "Hugging Face folder";
        describeConfig(config, out);
        describeTensors(folder.tensors, config, out);
    } else {
        CONCLAVE_TRY(const formats::GgufFile file, synth::openGguf(path));
        CONCLAVE_TRY(const model::ModelConfig config, model::configFromGguf(file));
        out.container = synth::isSpec(path) ? "random weights" : "GGUF " + std::to_string(file.version());
        describeConfig(config, out);
        describeTensors(file.tensors(), config, out);
    }
    CONCLAVE_TRY(const library::ModelParts parts, library::openParts(path));
    out.chatTemplate = parts.chatTemplate != nullptr;
    out.tokens = static_cast<uint32_t>(parts.tokenizer->size());
    for (const base::TokenId id : parts.endTokens)
        out.endTokens.push_back(base::toInt(id));
    return out;
}

nlohmann::ordered_json toJson(const ModelDescription& d) {
    nlohmann::ordered_json formats = nlohmann::ordered_json::object();
    for (const auto& [name, bytes] : d.formats)
        formats[name] = bytes;
    return {{"path", d.path},
            {"container", d.container},
            {"architecture", d.architecture},
            {"family", d.family},
            {"parameters", d.parameters},
            {"active_parameters", d.activeParameters},
            {"bytes", d.bytes},
            {"layers", d.layers},
            {"hidden", d.hidden},
            {"vocabulary", d.vocabulary},
            {"context", d.context},
            {"heads", d.heads},
            {"kv_heads", d.kvHeads},
            {"latent_rank", d.latentRank},
            {"experts", d.experts},
            {"chosen_experts", d.chosenExperts},
            {"kv_bytes_per_token", d.kvBytesPerToken},
            {"formats", formats},
            {"chat_template", d.chatTemplate},
            {"tokens", d.tokens},
            {"end_tokens", d.endTokens},
            {"warnings", d.warnings}};
}

}  // namespace conclave::engine::offline
