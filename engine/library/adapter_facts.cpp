#include "engine/library/adapter_facts.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "engine/model/adapter_fused.h"

namespace conclave::engine::library {
namespace {

bool isNumber(std::string_view word) {
    return !word.empty() && std::ranges::all_of(word, [](char c) { return c >= '0' && c <= '9'; });
}

std::vector<std::string_view> wordsOf(std::string_view name) {
    std::vector<std::string_view> out;
    while (!name.empty()) {
        out.push_back(name.substr(0, name.find('.')));
        name.remove_prefix(std::min(name.size(), out.back().size() + 1));
    }
    return out;
}

/// Words that say where a module lies, or which half of a pair a tensor is, and not which module it is.
bool saysNothing(std::string_view word) {
    for (const char* one : {"base_model", "model", "layers", "blk", "weight", "lora_A", "lora_B", "lora_a",
                            "lora_b", "base_layer"})
        if (word == one) return true;
    return false;
}

AdapterFacts saidBy(const formats::AdapterFile& file) {
    AdapterFacts out;
    out.format = file.kind == formats::AdapterFile::Kind::Peft ? "peft" : "gguf";
    out.baseName = file.baseName;
    out.alpha = file.alpha;
    out.rankStabilised = file.rankStabilised;
    std::set<std::string> targets;
    for (const formats::TensorInfo& tensor : file.tensors.all())
        targets.insert(targetOf(tensor.name));
    out.targets.assign(targets.begin(), targets.end());
    out.invocation.reserve(file.invocationTokens.size());
    for (const int32_t token : file.invocationTokens)
        out.invocation.push_back(base::TokenId{token});
    return out;
}

}  // namespace

std::string targetOf(const std::string& tensor) {
    std::string out;
    for (const std::string_view word : wordsOf(tensor)) {
        if (saysNothing(word)) continue;
        if (isNumber(word) && out.empty()) continue;  // the layer
        out.append(out.empty() ? "" : ".").append(isNumber(word) ? "*" : word);
    }
    return out;
}

std::vector<uint32_t> ranksOf(const formats::AdapterFile& file,
                              const std::vector<model::AdapterPair>& pairs) {
    std::set<uint32_t> ranks;
    for (const model::AdapterPair& pair : pairs) {
        const std::vector<uint64_t>& shape = pair.a->shape;
        if (model::fusedLayer(pair.module))
            ranks.insert(file.rank);
        else if (shape.size() >= 2)
            ranks.insert(static_cast<uint32_t>(shape[shape.size() - 2]));
    }
    for (const auto& [pattern, rank] : file.rankPatterns)
        ranks.insert(rank);
    return {ranks.begin(), ranks.end()};
}

base::Result<AdapterFacts> factsAt(const std::string& path) {
    CONCLAVE_TRY(const formats::AdapterFile file, formats::openAdapter(path));
    CONCLAVE_TRY(const std::vector<model::AdapterPair> pairs, model::pairsOf(file));
    AdapterFacts out = saidBy(file);
    out.ranks = ranksOf(file, pairs);
    out.counts.pairs = static_cast<uint32_t>(pairs.size());
    return out;
}

AdapterFacts factsOf(const formats::AdapterFile& file, const model::Adapter& adapter) {
    AdapterFacts out = saidBy(file);
    std::set<uint32_t> ranks;
    for (const auto& parts : adapter.factors)
        for (const model::LowRank& factor : parts)
            if (factor.a.rows > 0) ranks.insert(static_cast<uint32_t>(factor.a.rows));
    out.ranks.assign(ranks.begin(), ranks.end());
    out.counts = adapter.counts;
    out.bytes = adapter.bytes();
    out.changesNothing = adapter.changesNothing;
    return out;
}

std::vector<std::string> warningsOf(const std::string& name, bool changesNothing) {
    if (!changesNothing) return {};
    return {"adapter " + name +
            " changes nothing: every product of its factors is zero, as before training; if it was trained, "
            "save it again"};
}

}  // namespace conclave::engine::library
