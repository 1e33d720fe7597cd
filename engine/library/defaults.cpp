#include "engine/library/defaults.h"

#include <algorithm>
#include <limits>
#include <optional>

namespace conclave::engine::library {
namespace {

using nlohmann::json;

// The ranges that requests are held to as well.
constexpr double kLeastRepetition = 0.01, kMostRepetition = 100;
constexpr double kMostTemperature = 5, kMostTopK = std::numeric_limits<int32_t>::max();

/// `value` where it lies in its range, a warning where it does not.
std::optional<double> inRange(double value, double least, double most, const std::string& where,
                              Advice& advice) {
    if (value >= least && value <= most) return value;
    advice.warnings.push_back(where + ": " + std::to_string(value) + " makes no sense and is left out");
    return std::nullopt;
}

std::optional<float> asFloat(std::optional<double> value) {
    return value ? std::optional<float>(static_cast<float>(*value)) : std::nullopt;
}

/// top_k as files write it: 0 and below mean off.
std::optional<uint32_t> asTopK(std::optional<double> value) {
    return value ? std::optional<uint32_t>(static_cast<uint32_t>(std::max(*value, 0.0))) : std::nullopt;
}

std::optional<double> numberAt(const json& object, const char* key, double least, double most,
                               const std::string& file, Advice& advice) {
    const auto found = object.find(key);
    if (found == object.end() || found->is_null()) return std::nullopt;
    const std::string where = file + ": " + key;
    if (!found->is_number()) {
        advice.warnings.push_back(where + ": is " + found->type_name() + ", not a number, and is left out");
        return std::nullopt;
    }
    return inRange(found->get<double>(), least, most, where, advice);
}

/// eos_token_id: one number or a list.
void addEndTokens(const json& object, const std::string& file, Advice& advice) {
    const auto found = object.find("eos_token_id");
    if (found == object.end() || found->is_null()) return;
    const json list = found->is_array() ? *found : json::array({*found});
    for (const json& id : list) {
        if (id.is_number_integer())
            advice.endTokens.push_back(id.get<int64_t>());
        else
            advice.warnings.push_back(file + ": eos_token_id: " + id.dump() +
                                      " is no token id and is left out");
    }
}

}  // namespace

Advice adviceOf(const formats::HfFolder& folder) {
    Advice advice;
    addEndTokens(folder.config, folder.path + "/config.json", advice);
    if (!folder.generationConfig) return advice;
    const std::string file = folder.path + "/generation_config.json";
    const json& config = *folder.generationConfig;
    addEndTokens(config, file, advice);
    GenerationDefaults& out = advice.defaults;
    out.temperature = asFloat(numberAt(config, "temperature", 0, kMostTemperature, file, advice));
    out.topP = asFloat(numberAt(config, "top_p", 0, 1, file, advice));
    out.minP = asFloat(numberAt(config, "min_p", 0, 1, file, advice));
    out.topK = asTopK(numberAt(config, "top_k", -1, kMostTopK, file, advice));
    out.typicalP = asFloat(numberAt(config, "typical_p", 0, 1, file, advice));
    out.repetitionPenalty =
        asFloat(numberAt(config, "repetition_penalty", kLeastRepetition, kMostRepetition, file, advice));
    if (const auto most = numberAt(config, "max_new_tokens", 1, kMostTopK, file, advice))
        out.maxTokens = static_cast<uint32_t>(*most);
    if (config.value("do_sample", json()) == false)  // the other values then lie unused in the file
        out.temperature = 0.0f;
    return advice;
}

Advice adviceOf(const formats::GgufFile& gguf) {
    Advice advice;
    const auto numberAt = [&](const std::string& key, double least, double most) -> std::optional<double> {
        if (!gguf.has(key)) return std::nullopt;
        const auto value = gguf.number(key);
        if (value.ok()) return inRange(*value, least, most, gguf.path() + ": " + key, advice);
        advice.warnings.push_back(base::render(value.error()) + "; it is left out");
        return std::nullopt;
    };
    advice.defaults.temperature = asFloat(numberAt("general.sampling.temp", 0, kMostTemperature));
    advice.defaults.topP = asFloat(numberAt("general.sampling.top_p", 0, 1));
    advice.defaults.minP = asFloat(numberAt("general.sampling.min_p", 0, 1));
    advice.defaults.topK = asTopK(numberAt("general.sampling.top_k", -1, kMostTopK));
    advice.defaults.repetitionPenalty =
        asFloat(numberAt("general.sampling.penalty_repeat", kLeastRepetition, kMostRepetition));
    if (const auto last = numberAt("general.sampling.penalty_last_n", -1, kMostTopK))
        advice.defaults.repeatLastN = static_cast<int32_t>(*last);
    return advice;
}

}  // namespace conclave::engine::library
