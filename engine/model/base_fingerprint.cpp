#include "engine/model/base_fingerprint.h"

#include <algorithm>
#include <map>

namespace conclave::engine::model {
namespace {

using base::Code;
using base::Error;
using base::Result;

constexpr std::string_view kForm = "conclave-base-1";
constexpr const char *kArchitecture = "architecture", *kTokens = "tokens";

uint32_t expertLayers(const ModelConfig& c) {
    return static_cast<uint32_t>(std::ranges::count(c.moeLayer, 1));
}

/// A number of the fingerprint; in the order in which differences are named. What a model does not have is 0,
/// and so is what files of one model may say differently (heads of keys and values where one latent stands
/// for all).
struct Number {
    const char *key, *words;
    uint32_t (*of)(const ModelConfig& c);
};
constexpr Number kNumbers[] = {
    {"layers", "layers", [](const ModelConfig& c) { return c.layers; }},
    {"hidden", "values in a hidden state", [](const ModelConfig& c) { return c.hidden; }},
    {"heads", "heads", [](const ModelConfig& c) { return c.heads; }},
    {"kv_heads", "heads of keys and values",
     [](const ModelConfig& c) { return c.latentRank > 0 ? 0 : c.kvHeads; }},
    {"key", "values in a key",
     [](const ModelConfig& c) { return c.latentRank > 0 ? c.nopeDim + c.ropeDim : c.keyDim; }},
    {"value", "values of a head", [](const ModelConfig& c) { return c.valueDim; }},
    {"latent", "values in a latent", [](const ModelConfig& c) { return c.latentRank; }},
    {"query_latent", "values in a query's latent", [](const ModelConfig& c) { return c.queryRank; }},
    {"bias", "biases on queries, keys and values", [](const ModelConfig& c) { return c.qkvBias ? 1u : 0u; }},
    {"dense", "values in a dense layer",
     [](const ModelConfig& c) { return expertLayers(c) < c.layers ? c.intermediate : 0; }},
    {"expert_layers", "layers with experts", expertLayers},
    {"experts", "experts", [](const ModelConfig& c) { return c.experts; }},
    {"expert", "values in an expert", [](const ModelConfig& c) { return c.expertIntermediate; }},
    {"shared", "values in the shared expert", [](const ModelConfig& c) { return c.sharedIntermediate; }},
    {"vocabulary", "tokens", [](const ModelConfig& c) { return c.vocabulary; }},
};

using Parts = std::map<std::string, std::string, std::less<>>;

/// "form key=value key=value …", every key once.
Result<Parts> readParts(std::string_view text, const std::string& file, const std::string& field) {
    const auto next = [&text] {
        const std::string_view word = text.substr(0, text.find(' '));
        text.remove_prefix(std::min(text.size(), word.size() + 1));
        return word;
    };
    const std::string form(next());
    if (form != kForm) {
        if (form.starts_with("conclave-base-"))
            return Error{Code::UnsupportedOption, file, field, {form, "a newer engine may know it"}};
        return Error{Code::ValueOutOfRange, file, field, {"its text", "the fingerprint of a base model"}};
    }
    Parts out;
    while (!text.empty()) {
        const std::string word(next());
        const size_t equals = word.find('=');
        if (equals == std::string::npos ||
            !out.emplace(word.substr(0, equals), word.substr(equals + 1)).second)
            return Error{
                Code::ValueOutOfRange, file, field, {"its text", "key=value, each key once, and one space"}};
    }
    return out;
}

}  // namespace

std::string baseFingerprint(const ModelConfig& config, const std::string& tokens) {
    std::string out(kForm);
    const auto add = [&out](const char* key, const std::string& value) {
        out.append(" ").append(key).append("=").append(value);
    };
    add(kArchitecture, config.architecture);
    for (const Number& number : kNumbers)
        add(number.key, std::to_string(number.of(config)));
    if (!tokens.empty()) add(kTokens, tokens);
    return out;
}

Result<void> checkFingerprint(std::string_view wanted, std::string_view model, const std::string& file,
                              const std::string& field) {
    CONCLAVE_TRY(Parts want, readParts(wanted, file, field));
    CONCLAVE_TRY(Parts have, readParts(model, file, field));
    const auto differ = [&](const std::string& made, const std::string& is) {
        return Error{
            Code::AdapterMismatch, file, field, {"it was trained on " + made + ", and this model has " + is}};
    };
    if (want[kArchitecture] != have[kArchitecture])
        return differ("the architecture " + want[kArchitecture], have[kArchitecture]);
    for (const Number& number : kNumbers)
        if (want[number.key] != have[number.key])
            return differ(want[number.key] + " " + number.words, have[number.key]);
    if (!want[kTokens].empty() && !have[kTokens].empty() && want[kTokens] != have[kTokens])
        return differ("another vocabulary", "one with other texts for as many tokens");
    return {};
}

}  // namespace conclave::engine::model
