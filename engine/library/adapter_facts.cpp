#include "engine/library/adapter_facts.h"

#include <algorithm>
#include <set>
#include <string_view>

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

AdapterFacts factsOf(const formats::AdapterFile& file, const model::Adapter& adapter) {
    AdapterFacts out;
    out.format = file.kind == formats::AdapterFile::Kind::Peft ? "peft" : "gguf";
    out.baseName = file.baseName;
    out.alpha = file.alpha;
    out.rankStabilised = file.rankStabilised;
    std::set<uint32_t> ranks;
    for (const auto& parts : adapter.factors)
        for (const model::LowRank& factor : parts)
            if (factor.a.rows > 0) ranks.insert(static_cast<uint32_t>(factor.a.rows));
    out.ranks.assign(ranks.begin(), ranks.end());
    std::set<std::string> targets;
    for (const formats::TensorInfo& tensor : file.tensors.all())
        targets.insert(targetOf(tensor.name));
    out.targets.assign(targets.begin(), targets.end());
    out.invocation = adapter.invocation;
    out.counts = adapter.counts;
    out.bytes = adapter.bytes();
    out.changesNothing = adapter.changesNothing;
    return out;
}

std::vector<std::string> warningsOf(const std::string& name, const AdapterFacts& facts) {
    if (!facts.changesNothing) return {};
    return {"adapter " + name +
            " changes nothing: every product of its factors is zero, as before training; if it was trained, "
            "save it again"};
}

}  // namespace conclave::engine::library
