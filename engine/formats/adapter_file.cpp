#include "engine/formats/adapter_file.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "engine/formats/adapter_peft.h"
#include "engine/formats/gguf.h"
#include "engine/formats/module_pattern.h"

namespace conclave::engine::formats {
namespace {

using base::Code;
using base::Error;
using base::Result;

/// The value of the pattern that means `module`, or nothing. Where several do, they must agree: which of them
/// counts depends on an order that JSON does not keep.
template <class Number>
Result<std::optional<Number>> chosen(const AdapterFile::Patterns<Number>& patterns, const char* key,
                                     const std::string& module, const std::string& file) {
    std::optional<Number> found;
    for (const auto& [pattern, value] : patterns) {
        CONCLAVE_TRY(const bool means, meansModule(pattern, module, file, key));
        if (!means) continue;
        if (found && *found != value)
            return Error{
                Code::ValueOutOfRange,
                file,
                key,
                {"\"" + pattern + "\"", "one value for " + module + ", but another pattern means it too"}};
        found = value;
    }
    return found;
}

Result<AdapterFile> openGgufAdapter(const std::string& path) {
    CONCLAVE_TRY(const GgufFile file, GgufFile::open(path));
    CONCLAVE_TRY(const std::string type, file.text("general.type", "model"));
    if (type != "adapter") return Error{Code::NotAnAdapter, path, "", {"its general.type is " + type}};
    CONCLAVE_TRY(const std::string kind, file.text("adapter.type", ""));
    if (kind != "lora")
        return Error{Code::UnsupportedOption, path, "adapter.type", {kind, "adapters of the type lora are"}};
    AdapterFile out;
    out.kind = AdapterFile::Kind::Gguf;
    out.path = path;
    out.tensors = file.tensors();
    CONCLAVE_TRY(out.architecture, file.text("general.architecture"));
    CONCLAVE_TRY(out.alpha, file.number("adapter.lora.alpha", 0));
    if (!std::isfinite(out.alpha))
        return Error{Code::ValueOutOfRange, path, "adapter.lora.alpha", {"not a number", "a finite number"}};
    CONCLAVE_TRY(out.baseName, file.text("general.base_model.0.name", ""));
    CONCLAVE_TRY(out.baseFingerprint, file.text(kFingerprintKeyGguf, ""));
    constexpr const char* kTokens = "adapter.alora.invocation_tokens";
    if (!file.has(kTokens)) return out;
    CONCLAVE_TRY(const std::vector<int64_t> tokens, file.integers(kTokens));
    if (tokens.empty() || tokens.size() > kMostInvocationTokens)
        return Error{
            Code::ValueOutOfRange, path, kTokens, {std::to_string(tokens.size()), "1 to 4096 tokens"}};
    for (const int64_t token : tokens) {
        if (token < 0 || token > INT32_MAX)
            return Error{Code::ValueOutOfRange, path, kTokens, {std::to_string(token), "ids of tokens"}};
        out.invocationTokens.push_back(static_cast<int32_t>(token));
    }
    return out;
}

}  // namespace

Result<float> AdapterFile::scaleOf(const std::string& module, uint32_t pairRank) const {
    if (kind == Kind::Gguf) return alpha == 0 ? 1.0f : static_cast<float>(alpha / pairRank);
    // PEFT's patterns know the weight of a module that was adapted as a parameter by the parameter's name.
    const std::string weight = module + ".weight";
    const bool parameter = std::ranges::any_of(targetParameters, [&](const std::string& name) {
        return weight == name || weight.ends_with("." + name);
    });
    const std::string& known = parameter ? weight : module;
    CONCLAVE_TRY(const std::optional<uint32_t> ownRank, chosen(rankPatterns, "rank_pattern", known, path));
    CONCLAVE_TRY(const std::optional<double> ownAlpha, chosen(alphaPatterns, "alpha_pattern", known, path));
    const uint32_t wanted = ownRank.value_or(rank);
    if (wanted != pairRank)
        return Error{
            Code::ValueOutOfRange,
            path,
            module,
            {"rank " + std::to_string(pairRank), "its configuration says " + std::to_string(wanted)}};
    const double divisor = rankStabilised ? std::sqrt(static_cast<double>(pairRank)) : pairRank;
    return static_cast<float>(ownAlpha.value_or(alpha) / divisor);
}

Result<AdapterFile> openAdapter(const std::string& path) {
    switch (platform::pathKind(path)) {
    case platform::PathKind::Missing:
        return Error{Code::FileNotFound, path, "", {}};
    case platform::PathKind::Folder:
        return openPeftAdapter(path);
    default:
        return openGgufAdapter(path);
    }
}

}  // namespace conclave::engine::formats
