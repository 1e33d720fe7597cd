#include "engine/offline/peft_config.h"

#include <algorithm>
#include <map>

#include "engine/formats/adapter_file.h"

namespace conclave::engine::offline {
namespace {

/// "q_proj" of "model.layers.0.self_attn.q_proj".
std::string leafOf(const std::string& module) {
    return module.substr(module.rfind('.') + 1);
}

/// Keys of patterns are regular expressions.
std::string escaped(const std::string& module) {
    std::string out;
    for (const char c : module)
        out += c == '.' ? std::string("\\.") : std::string(1, c);
    return out;
}

template <class Number> Number mostCommon(const std::vector<std::pair<std::string, Number>>& values) {
    std::map<Number, size_t> votes;
    for (const auto& [module, value] : values)
        ++votes[value];
    return std::ranges::max_element(votes, {}, [](const auto& vote) { return vote.second; })->first;
}

/// Patterns for the modules whose value is not `usual`: by the last part of the name where all modules of
/// that name share it, else by the whole name.
template <class Number>
nlohmann::ordered_json patternsOf(const std::vector<std::pair<std::string, Number>>& values, Number usual) {
    std::map<std::string, std::set<Number>> byLeaf;
    for (const auto& [module, value] : values)
        byLeaf[leafOf(module)].insert(value);
    nlohmann::ordered_json out = nlohmann::ordered_json::object();
    for (const auto& [module, value] : values)
        if (value != usual)
            out[byLeaf[leafOf(module)].size() == 1 ? leafOf(module) : escaped(module)] = value;
    return out;
}

nlohmann::ordered_json targetsOf(const PeftConfig& config) {
    std::map<std::string, size_t> adapted, all;
    for (const PeftConfig::Module& module : config.modules)
        ++adapted[leafOf(module.name)];
    for (const std::string& module : config.modulesOfBase)
        ++all[leafOf(module)];
    std::set<std::string> targets;
    for (const PeftConfig::Module& module : config.modules) {
        const std::string leaf = leafOf(module.name);
        targets.insert(adapted[leaf] == all[leaf] ? leaf : module.name);
    }
    return targets;
}

}  // namespace

nlohmann::ordered_json peftConfig(const PeftConfig& config) {
    std::vector<std::pair<std::string, uint32_t>> ranks;
    std::vector<std::pair<std::string, double>> alphas;
    for (const PeftConfig::Module& module : config.modules) {
        ranks.emplace_back(module.name, module.rank);
        alphas.emplace_back(module.name, module.alpha);
    }
    const uint32_t rank = mostCommon(ranks);
    const double alpha = mostCommon(alphas);
    nlohmann::ordered_json out{{"peft_type", "LORA"},
                               {"task_type", "CAUSAL_LM"},
                               {"base_model_name_or_path", config.base},
                               {"r", rank},
                               {"lora_alpha", alpha},
                               {"rank_pattern", patternsOf(ranks, rank)},
                               {"alpha_pattern", patternsOf(alphas, alpha)},
                               {"use_rslora", false},
                               {"use_dora", false},
                               {"bias", "none"},
                               {"fan_in_fan_out", false},
                               {"lora_dropout", 0.0},
                               {"inference_mode", true},
                               {"modules_to_save", nullptr},
                               {"target_modules", targetsOf(config)}};
    if (!config.fingerprint.empty()) out[formats::kFingerprintKeyPeft] = config.fingerprint;
    if (!config.invocationTokens.empty()) out["alora_invocation_tokens"] = config.invocationTokens;
    return out;
}

}  // namespace conclave::engine::offline
