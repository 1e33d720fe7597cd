#include "engine/model/names.h"

#include <charconv>

namespace conclave::engine::model {
namespace {

constexpr std::string_view kLayer = "{layer}", kExpert = "{expert}";

/// Takes a number without leading zeros off the front of `name`.
std::optional<uint32_t> takeNumber(std::string_view& name) {
    uint32_t number = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    const size_t digits = static_cast<size_t>(end - name.data());
    if (error != std::errc() || digits == 0 || (digits > 1 && name.front() == '0')) return std::nullopt;
    name.remove_prefix(digits);
    return number;
}

}  // namespace

std::string fillName(std::string_view pattern, uint32_t layer, uint32_t expert) {
    std::string out;
    while (!pattern.empty()) {
        const size_t open = std::min(pattern.find('{'), pattern.size());
        out += pattern.substr(0, open);
        pattern.remove_prefix(open);
        if (pattern.starts_with(kLayer)) {
            out += std::to_string(layer);
            pattern.remove_prefix(kLayer.size());
        } else if (pattern.starts_with(kExpert)) {
            out += std::to_string(expert);
            pattern.remove_prefix(kExpert.size());
        }
    }
    return out;
}

std::optional<NameNumbers> matchName(std::string_view pattern, std::string_view name) {
    NameNumbers numbers;
    while (!pattern.empty()) {
        const bool layer = pattern.starts_with(kLayer), expert = pattern.starts_with(kExpert);
        if (!layer && !expert) {
            if (name.empty() || name.front() != pattern.front()) return std::nullopt;
            name.remove_prefix(1);
            pattern.remove_prefix(1);
            continue;
        }
        const std::optional<uint32_t> number = takeNumber(name);
        if (!number) return std::nullopt;
        (layer ? numbers.layer : numbers.expert) = *number;
        pattern.remove_prefix(layer ? kLayer.size() : kExpert.size());
    }
    return name.empty() ? std::optional(numbers) : std::nullopt;
}

std::string ggufName(std::span<const NameRow> table, Role role, uint32_t layer) {
    for (const NameRow& row : table)
        if (row.role == role && !row.gguf.empty()) return fillName(row.gguf, layer);
    return {};
}

std::optional<std::string> translateName(std::span<const NameRow> table, std::string_view name, Naming from) {
    for (const NameRow& row : table) {
        const std::string_view here = from == Naming::HuggingFace ? row.huggingFace : row.gguf;
        const std::string_view there = from == Naming::HuggingFace ? row.gguf : row.huggingFace;
        if (here.empty() || there.empty()) continue;
        if (const std::optional<NameNumbers> numbers = matchName(here, name))
            return fillName(there, numbers->layer, numbers->expert);
    }
    return std::nullopt;
}

}  // namespace conclave::engine::model
