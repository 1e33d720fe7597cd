#include "engine/offline/adapter_info.h"

#include <algorithm>
#include <map>
#include <set>

#include "engine/formats/adapter_file.h"
#include "engine/library/adapter_facts.h"
#include "engine/model/adapter_fused.h"
#include "engine/model/adapter_names.h"
#include "engine/offline/adapter_base.h"

namespace conclave::engine::offline {
namespace {

using base::Result;
using formats::AdapterFile;
using model::AdapterPair;
using model::Orientation;
using model::OrientationProof;

/// "q_proj" of "model.layers.0.self_attn.q_proj"; the fused experts by the name of their parameter's wrapper.
std::string targetOf(const std::string& module) {
    if (model::fusedLayer(module)) return "experts (fused)";
    return module.substr(module.rfind('.') + 1);
}

void readPairs(const AdapterFile& file, const std::vector<AdapterPair>& pairs, AdapterInfo& info) {
    info.ranks = library::ranksOf(file, pairs);
    std::map<std::string, uint32_t> targets;
    for (const AdapterPair& pair : pairs)
        ++targets[targetOf(pair.module)];
    info.targets.assign(targets.begin(), targets.end());
    info.pairs = static_cast<uint32_t>(pairs.size());
    std::map<std::string, uint64_t> formats;
    for (const formats::TensorInfo& tensor : file.tensors.all())
        formats[std::string(quant::info(tensor.format).name)] += tensor.bytes.size();
    info.formats.assign(formats.begin(), formats.end());
    std::ranges::stable_sort(info.formats, std::ranges::greater{}, &std::pair<std::string, uint64_t>::second);
}

Result<void> attach(const AdapterFile& file, const std::vector<AdapterPair>& pairs, AdapterInfo& info) {
    CONCLAVE_TRY(const AdapterBase base, openAdapterBase(info.model));
    CONCLAVE_TRY(const auto adapter, loadFor(base, file));
    info.counts = adapter->counts;
    info.loadedBytes = adapter->memory.size();
    info.warnings = library::warningsOf(info.path, adapter->changesNothing);
    const bool fused = std::ranges::any_of(
        pairs, [](const AdapterPair& pair) { return model::fusedLayer(pair.module).has_value(); });
    if (!fused) return {};
    const OrientationProof proof = model::orientationOf(file, pairs, base.outline.config);
    info.orientation = proof.orientation == Orientation::Straight ? "A over inputs" : "A over outputs";
    info.orientationBy = proof.by == OrientationProof::By::Shapes ? "shapes" : "peft_version";
    return {};
}

}  // namespace

Result<AdapterInfo> adapterInfo(const std::string& path, const std::string& modelPath) {
    CONCLAVE_TRY(const AdapterFile file, formats::openAdapter(path));
    CONCLAVE_TRY(const std::vector<AdapterPair> pairs, model::pairsOf(file));
    AdapterInfo info;
    info.path = path;
    info.form = file.kind == AdapterFile::Kind::Peft ? "PEFT" : "GGUF";
    info.base = file.baseName.empty() ? file.architecture : file.baseName;
    info.peftVersion = file.peftVersion;
    info.alpha = file.alpha;
    std::set<double> alphas;
    for (const auto& [pattern, alpha] : file.alphaPatterns)
        alphas.insert(alpha);
    info.alphas.assign(alphas.begin(), alphas.end());
    info.rankStabilised = file.rankStabilised;
    info.bytes = file.tensors.totalBytes();
    info.invocationTokens = file.invocationTokens;
    info.fingerprint = file.baseFingerprint;
    readPairs(file, pairs, info);
    info.model = modelPath;
    if (!modelPath.empty()) CONCLAVE_TRY_VOID(attach(file, pairs, info));
    return info;
}

nlohmann::ordered_json toJson(const AdapterInfo& info) {
    nlohmann::ordered_json targets = nlohmann::ordered_json::object(), formats = targets;
    for (const auto& [name, pairs] : info.targets)
        targets[name] = pairs;
    for (const auto& [name, bytes] : info.formats)
        formats[name] = bytes;
    nlohmann::ordered_json out{{"path", info.path},
                               {"form", info.form},
                               {"base", info.base},
                               {"peft_version", info.peftVersion},
                               {"ranks", info.ranks},
                               {"alpha", info.alpha},
                               {"alpha_patterns", info.alphas},
                               {"use_rslora", info.rankStabilised},
                               {"targets", targets},
                               {"pairs", info.pairs},
                               {"bytes", info.bytes},
                               {"formats", formats},
                               {"invocation_tokens", info.invocationTokens},
                               {"base_fingerprint", info.fingerprint}};
    if (info.model.empty()) return out;
    nlohmann::ordered_json layers = nlohmann::ordered_json::array();
    for (const model::AdapterCounts::Layer& layer : info.counts.layers)
        layers.push_back({{"layer", layer.layer}, {"matrices", layer.matrices}, {"experts", layer.experts}});
    out["model"] = info.model;
    out["attached_pairs"] = info.counts.pairs;
    out["matrices"] = info.counts.matrices;
    out["loaded_bytes"] = info.loadedBytes;
    out["layers"] = layers;
    out["warnings"] = info.warnings;
    if (!info.orientation.empty())
        out["orientation"] = {{"fused_experts", info.orientation}, {"decided_by", info.orientationBy}};
    return out;
}

}  // namespace conclave::engine::offline
