#include "engine/formats/adapter_peft.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string_view>

#include "engine/formats/hf_folder.h"
#include "engine/formats/json_fields.h"
#include "engine/formats/safetensors.h"

namespace conclave::engine::formats {
namespace {

using base::Code;
using base::Error;
using base::Result;
using nlohmann::json;

constexpr uint32_t kMostRank = 65536;

/// Fields that change what an adapter computes in ways that are not done. Each may be absent, null, false or
/// empty.
struct Foreign {
    const char* field;
    const char* help;
};
constexpr Foreign kForeign[] = {
    {"use_dora", "train it as plain LoRA, or merge it with PEFT and load the merged model"},
    {"use_qalora", "train it as plain LoRA, or merge it with PEFT and load the merged model"},
    {"lora_bias", "merge it with PEFT and load the merged model"},
    {"fan_in_fan_out", "no model that is known here stores its weights so"},
    {"modules_to_save", "whole modules were trained beside; merge it with PEFT and load the merged model"},
    {"trainable_token_indices",
     "token embeddings were trained; merge it with PEFT and load the merged model"},
    {"layer_replication", "it repeats layers; merge it with PEFT and load the merged model"},
    {"arrow_config", "merge it with PEFT and load the merged model"},
    {"corda_config", "save it with path_initial_model_for_weight_conversion"},
    {"loftq_config", "save it with path_initial_model_for_weight_conversion"},
};

/// Fields that are read, and those that only say how an adapter was trained or is handled elsewhere.
constexpr std::string_view kKnown[] = {"alora_invocation_tokens",
                                       "alpha_pattern",
                                       "auto_mapping",
                                       "base_model_name_or_path",
                                       "bias",
                                       "ensure_weight_tying",
                                       "eva_config",
                                       "exclude_modules",
                                       "inference_mode",
                                       "init_lora_weights",
                                       "layers_pattern",
                                       "layers_to_transform",
                                       "lora_alpha",
                                       "lora_dropout",
                                       "lora_dtype",
                                       "lorap_emb_lr",
                                       "lorap_lr_ratio",
                                       "megatron_config",
                                       "megatron_core",
                                       "peft_type",
                                       "peft_version",
                                       "qalora_group_size",
                                       "r",
                                       "rank_pattern",
                                       "revision",
                                       "runtime_config",
                                       "target_modules",
                                       "target_parameters",
                                       "task_type",
                                       "use_rslora",
                                       kFingerprintKeyPeft};

bool isNothing(const json& value) {
    return value.is_null() || (value.is_boolean() && !value.get<bool>()) ||
           ((value.is_array() || value.is_object()) && value.empty());
}

Result<void> refuseForeign(const JsonFields& fields, const json& config) {
    for (const Foreign& foreign : kForeign) {
        if (!config.contains(foreign.field)) continue;
        if (!isNothing(config[foreign.field]))
            return fields.unsupported(foreign.field, config[foreign.field].dump(), foreign.help);
    }
    for (const auto& [field, value] : config.items())
        if (!isNothing(value) && std::ranges::find(kKnown, field) == std::end(kKnown))
            return fields.unsupported(
                field.c_str(), value.dump(),
                "the field is not known here; take it out of the file if it changes nothing that the "
                "adapter computes");
    CONCLAVE_TRY(const std::string bias, fields.text("bias", "none"));
    if (bias != "none")
        return fields.unsupported("bias", bias, "train it with bias \"none\", or merge it with PEFT");
    // These begin from changed base weights, and only a conversion at the end makes a LoRA of the difference.
    const auto begun = config.find("init_lora_weights");
    if (begun == config.end() || !begun->is_string()) return {};
    const auto name = begun->get<std::string>();
    for (const char* changed : {"pissa", "olora", "corda", "loftq"})
        if (name.starts_with(changed))
            return fields.unsupported("init_lora_weights", name,
                                      "save it with path_initial_model_for_weight_conversion");
    return {};
}

Result<void> readPatterns(const JsonFields& fields, AdapterFile& out) {
    if (fields.has("rank_pattern")) {
        CONCLAVE_TRY(const json* patterns, fields.object("rank_pattern"));
        const JsonFields ranks(*patterns, fields.file(), "rank_pattern.");
        for (const auto& [pattern, value] : patterns->items()) {
            CONCLAVE_TRY(const uint32_t rank, ranks.count(pattern.c_str(), kMostRank));
            out.rankPatterns.emplace_back(pattern, rank);
        }
    }
    if (fields.has("alpha_pattern")) {
        CONCLAVE_TRY(const json* patterns, fields.object("alpha_pattern"));
        const JsonFields alphas(*patterns, fields.file(), "alpha_pattern.");
        for (const auto& [pattern, value] : patterns->items()) {
            CONCLAVE_TRY(const double alpha, alphas.number(pattern.c_str()));
            out.alphaPatterns.emplace_back(pattern, alpha);
        }
    }
    return {};
}

/// A list of names at `field`; none where it is not there.
Result<std::vector<std::string>> readNames(const JsonFields& fields, const char* field) {
    std::vector<std::string> out;
    if (!fields.has(field)) return out;
    CONCLAVE_TRY(const json* names, fields.array(field));
    for (const json& name : *names) {
        if (!name.is_string())
            return Error{Code::WrongType, fields.file(), field, {name.type_name(), "a list of names"}};
        out.push_back(name.get<std::string>());
    }
    return out;
}

/// Which modules and parameters were adapted. Modules are for people only: the tensors say it too.
Result<void> readTargets(const JsonFields& fields, const json& config, AdapterFile& out) {
    CONCLAVE_TRY(out.targetParameters, readNames(fields, "target_parameters"));
    const auto modules = config.find("target_modules");
    if (modules != config.end() && modules->is_string()) {
        out.targetModules.push_back(modules->get<std::string>());
        return {};
    }
    CONCLAVE_TRY(out.targetModules, readNames(fields, "target_modules"));
    return {};
}

Result<void> readInvocation(const JsonFields& fields, AdapterFile& out) {
    if (!fields.has("alora_invocation_tokens")) return {};
    CONCLAVE_TRY(const json* tokens, fields.array("alora_invocation_tokens"));
    if (tokens->size() > kMostInvocationTokens)
        return Error{Code::ValueOutOfRange,
                     fields.file(),
                     "alora_invocation_tokens",
                     {std::to_string(tokens->size()), "at most 4096 tokens"}};
    for (const json& token : *tokens) {
        if (!token.is_number_unsigned() || token.get<uint64_t>() > INT32_MAX)
            return Error{Code::WrongType,
                         fields.file(),
                         "alora_invocation_tokens",
                         {token.dump(), "a list of token ids"}};
        out.invocationTokens.push_back(token.get<int32_t>());
    }
    return {};
}

/// adapter_config.json, without the weights.
Result<AdapterFile> readConfig(std::string_view text, const std::string& configPath) {
    CONCLAVE_TRY(const json config, parseStrictJson(text, configPath));
    if (!config.is_object())
        return Error{Code::WrongType, configPath, "the document", {config.type_name(), "an object"}};
    const JsonFields fields(config, configPath);
    CONCLAVE_TRY(const std::string kind, fields.text("peft_type"));
    if (kind != "LORA") return fields.unsupported("peft_type", kind, "adapters of the type LORA are");
    CONCLAVE_TRY_VOID(refuseForeign(fields, config));

    AdapterFile out;
    CONCLAVE_TRY(out.rank, fields.count("r", kMostRank));
    CONCLAVE_TRY(out.alpha, fields.number("lora_alpha"));
    CONCLAVE_TRY(out.rankStabilised, fields.flag("use_rslora", false));
    CONCLAVE_TRY(out.peftVersion, fields.text("peft_version", ""));
    CONCLAVE_TRY(out.baseName, fields.text("base_model_name_or_path", ""));
    CONCLAVE_TRY(out.baseFingerprint, fields.text(kFingerprintKeyPeft, ""));
    CONCLAVE_TRY_VOID(readPatterns(fields, out));
    CONCLAVE_TRY_VOID(readTargets(fields, config, out));
    CONCLAVE_TRY_VOID(readInvocation(fields, out));
    return out;
}

}  // namespace

Result<AdapterFile> openPeftAdapter(const std::string& folder) {
    const std::string configPath = folder + "/adapter_config.json";
    if (platform::pathKind(configPath) == platform::PathKind::Missing)
        return Error{Code::NotAnAdapter, folder, "", {"it has no adapter_config.json"}};
    CONCLAVE_TRY(const std::string text, platform::readTextFile(configPath, size_t{16} << 20));
    CONCLAVE_TRY(AdapterFile out, readConfig(text, configPath));
    out.path = folder;
    const std::string weights = folder + "/adapter_model.safetensors";
    if (platform::pathKind(weights) == platform::PathKind::Missing) {
        const bool pickle = platform::pathKind(folder + "/adapter_model.bin") != platform::PathKind::Missing;
        return Error{Code::NotAnAdapter,
                     folder,
                     "",
                     {pickle
                          ? "adapter_model.bin may hold programs and is never opened; save it as safetensors"
                          : "it has no adapter_model.safetensors"}};
    }
    CONCLAVE_TRY_VOID(readSafetensors(weights, out.tensors));
    return out;
}

Result<AdapterFile> parsePeftAdapter(std::string_view config, std::span<const std::byte> weights,
                                     const std::string& name) {
    CONCLAVE_TRY(AdapterFile out, readConfig(config, name + "/adapter_config.json"));
    out.path = name;
    CONCLAVE_TRY_VOID(parseSafetensors(weights, name + "/adapter_model.safetensors", out.tensors));
    return out;
}

}  // namespace conclave::engine::formats
