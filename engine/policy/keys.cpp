#include "engine/policy/keys.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <limits>

namespace conclave::engine::policy {
namespace {

using Refusal = std::optional<std::string>;

std::optional<int64_t> wholeNumber(const Value& value) {
    if (const auto* number = std::get_if<int64_t>(&value)) return *number;
    const auto* text = std::get_if<std::string>(&value);
    if (text == nullptr || text->empty()) return std::nullopt;
    int64_t number = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
    if (error != std::errc() || end != text->data() + text->size()) return std::nullopt;
    return number;
}

Refusal setCount(uint32_t& field, const Value& value, int64_t most) {
    const std::optional<int64_t> number = wholeNumber(value);
    if (!number || *number < 0 || *number > most)
        return "a whole number from 0 (choose for me) to " + std::to_string(most);
    field = static_cast<uint32_t>(*number);
    return std::nullopt;
}

Refusal setCap(float& field, const Value& value) {
    double number = std::numeric_limits<double>::quiet_NaN();
    if (const auto* whole = std::get_if<int64_t>(&value)) number = static_cast<double>(*whole);
    if (const auto* real = std::get_if<double>(&value)) number = *real;
    if (const auto* text = std::get_if<std::string>(&value)) {
        const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
        if (error != std::errc() || end != text->data() + text->size())
            number = std::numeric_limits<double>::quiet_NaN();
    }
    if (number != 0 && !(number >= 1 && number <= 1000)) return "0 (no cap) or a number from 1 to 1000";
    field = static_cast<float>(number);
    return std::nullopt;
}

Refusal setText(std::string& field, const Value& value) {
    const auto* text = std::get_if<std::string>(&value);
    if (text == nullptr || text->empty() || text->find('\0') != std::string::npos)
        return "a text that is not empty";
    field = *text;
    return std::nullopt;
}

Refusal setPath(std::string& field, const Value& value) {
    const auto* text = std::get_if<std::string>(&value);
    if (text == nullptr || !text->starts_with('/') || text->find('\0') != std::string::npos)
        return "an absolute path";
    field = *text;
    return std::nullopt;
}

template <class Enum, size_t N>
Refusal setName(Enum& field, const Value& value,
                const std::array<std::pair<std::string_view, Enum>, N>& names) {
    std::string known;
    for (const auto& [name, meaning] : names) {
        if (const auto* text = std::get_if<std::string>(&value); text != nullptr && *text == name) {
            field = meaning;
            return std::nullopt;
        }
        known += (known.empty() ? "" : ", ") + std::string(name);
    }
    return "one of " + known;
}

constexpr std::array<std::pair<std::string_view, Activations>, 5> kActivations = {
    {{"auto", Activations::Auto},
     {"f32", Activations::F32},
     {"bf16", Activations::BF16},
     {"int8", Activations::Int8},
     {"int8x2", Activations::Int8x2}}};
constexpr std::array<std::pair<std::string_view, Kv>, 2> kKv = {{{"f32", Kv::F32}, {"f16", Kv::F16}}};

Refusal setBytes(uint64_t& field, const Value& value) {
    constexpr std::string_view kMust = "bytes, such as 2GiB or 512MiB; 0 = choose for me";
    if (const auto* number = std::get_if<int64_t>(&value)) {
        if (*number < 0) return std::string(kMust);
        field = static_cast<uint64_t>(*number);
        return std::nullopt;
    }
    const auto* text = std::get_if<std::string>(&value);
    const auto bytes = text != nullptr ? parseBytes(*text, {}) : base::Error{};
    if (!bytes.ok()) return std::string(kMust);
    field = *bytes;
    return std::nullopt;
}

/// One path, several in a list, or several in one text with colons between them.
Refusal setModelFolders(Options& options, const Value& value) {
    std::vector<std::string> folders;
    if (const auto* list = std::get_if<std::vector<std::string>>(&value)) {
        folders = *list;
    } else if (const auto* text = std::get_if<std::string>(&value)) {
        for (size_t at = 0; at <= text->size();) {
            const size_t end = std::min(text->find(':', at), text->size());
            folders.push_back(text->substr(at, end - at));
            at = end + 1;
        }
    }
    const auto good = [](const std::string& path) { return path.starts_with('/'); };
    if (folders.empty() || !std::all_of(folders.begin(), folders.end(), good))
        return "an absolute path, or several";
    options.modelFolders = std::move(folders);
    return std::nullopt;
}

constexpr KeyRow kRows[] = {
    {{"threads", "N", "Threads that compute; 0 = the physical cores that this process may use", true},
     [](Options& o, const Value& v) { return setCount(o.threads, v, 4096); }},
    {{"kernels", "NAME", "Row of kernels; without it the best one of this processor", true},
     [](Options& o, const Value& v) { return setText(o.kernels, v); }},
    {{"activations", "NAME", "What products are rounded to: auto, f32, bf16, int8 or int8x2", true},
     [](Options& o, const Value& v) { return setName(o.activations, v, kActivations); }},
    {{"kv", "NAME", "What computed positions are stored as: f32 or f16", true},
     [](Options& o, const Value& v) { return setName(o.kv, v, kKv); }},
    {{"kv-memory", "BYTES",
      "Memory for computed positions (2GiB); 0 = a quarter of what is free, at most four full contexts",
      true},
     [](Options& o, const Value& v) { return setBytes(o.kvMemory, v); }},
    {{"adapter-memory", "BYTES",
      "Memory for adapters (1GiB); those used longest ago make room for others; 0 = a quarter of what is "
      "free "
      "at the start",
      true},
     [](Options& o, const Value& v) { return setBytes(o.adapterMemory, v); }},
    {{"context", "TOKENS", "Most tokens of a request, prompt and answer together; 0 = the model's own", true},
     [](Options& o, const Value& v) { return setCount(o.context, v, std::numeric_limits<int32_t>::max()); }},
    {{"expert-cap", "FACTOR",
      "Most tokens of a step that one expert takes, times the mean (1 to 1000); answers then depend on what "
      "else is answered; 0 = no cap",
      true},
     [](Options& o, const Value& v) { return setCap(o.expertCap, v); }},
    {{"socket", "PATH", "Unix socket to listen on; without it the user's own", true},
     [](Options& o, const Value& v) { return setPath(o.socket, v); }},
    {{"models-dir", "PATH", "Folder of models, searched before the standard ones; several with colons", true},
     setModelFolders},
    {{"models.chat", "NAME", "Model of requests that name none", false},
     [](Options& o, const Value& v) { return setText(o.chatModel, v); }},
    {{"models.completion", "NAME", "Model that editors complete code with", false},
     [](Options& o, const Value& v) { return setText(o.completionModel, v); }},
    {{"limits.connections", "N", "Connections at once; 0 = 256", false},
     [](Options& o, const Value& v) { return setCount(o.connections, v, 65'536); }},
    {{"limits.body", "BYTES", "Largest body of a request; 0 = 32MiB", false},
     [](Options& o, const Value& v) { return setBytes(o.bodyBytes, v); }},
    {{"limits.idle", "SECONDS", "Time between two requests of a connection; 0 = 75", false},
     [](Options& o, const Value& v) { return setCount(o.idleSeconds, v, 86'400); }},
};

}  // namespace

std::span<const Key> keys() {
    static const std::vector<Key> list = [] {
        std::vector<Key> out;
        for (const KeyRow& row : kRows)
            out.push_back(row.key);
        return out;
    }();
    return list;
}

const KeyRow* findKey(std::string_view name) {
    const auto* row = std::find_if(std::begin(kRows), std::end(kRows),
                                   [name](const KeyRow& r) { return r.key.name == name; });
    return row == std::end(kRows) ? nullptr : row;
}

std::string shown(const Value& value) {
    if (const auto* number = std::get_if<int64_t>(&value)) return std::to_string(*number);
    if (const auto* number = std::get_if<double>(&value)) {
        char text[32];
        std::snprintf(text, sizeof text, "%g", *number);
        return text;
    }
    if (const auto* text = std::get_if<std::string>(&value)) return '"' + *text + '"';
    return "a list of " + std::to_string(std::get<std::vector<std::string>>(value).size());
}

base::Result<uint64_t> parseBytes(std::string_view text, const std::string& field) {
    struct Unit {
        std::string_view name;
        int power;
    };
    constexpr Unit kUnits[] = {{"", 0},    {"b", 0},  {"k", 1},   {"kb", 1}, {"kib", 1},
                               {"m", 2},   {"mb", 2}, {"mib", 2}, {"g", 3},  {"gb", 3},
                               {"gib", 3}, {"t", 4},  {"tb", 4},  {"tib", 4}};
    const base::Error refusal{
        base::Code::OutOfRange, {}, field, {std::string(text), "bytes, such as 2GiB or 512MiB"}};
    size_t digits = 0;
    while (digits < text.size() && (text[digits] == '.' || (text[digits] >= '0' && text[digits] <= '9')))
        ++digits;
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + digits, number);
    if (digits == 0 || error != std::errc() || end != text.data() + digits) return refusal;
    std::string unit;
    for (const char c : text.substr(digits))
        if (c != ' ' || !unit.empty())
            unit.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
    const auto* known =
        std::find_if(std::begin(kUnits), std::end(kUnits), [&unit](const Unit& u) { return u.name == unit; });
    const double bytes = known == std::end(kUnits) ? -1 : std::ldexp(number, 10 * known->power);
    if (!(bytes >= 0 && bytes < 0x1p62) || bytes != std::floor(bytes)) return refusal;
    return static_cast<uint64_t>(bytes);
}

}  // namespace conclave::engine::policy
