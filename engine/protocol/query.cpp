#include "engine/protocol/query.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "engine/base/utf8.h"

namespace conclave::engine::protocol {
namespace {

using base::Code;
using base::Error;

Json valueOf(std::string text, QueryKind kind) {
    if (kind == QueryKind::Flag) {
        if (text == "true" || text == "1") return true;
        if (text == "false" || text == "0") return false;
    }
    if (kind == QueryKind::Number) {
        const char* end = text.data() + text.size();
        int64_t whole = 0;
        if (const auto read = std::from_chars(text.data(), end, whole);
            read.ec == std::errc() && read.ptr == end)
            return whole;
        double number = 0;
        if (const auto read = std::from_chars(text.data(), end, number);
            read.ec == std::errc() && read.ptr == end && std::isfinite(number))
            return number;
    }
    return text;
}

base::Result<std::string> decoded(std::string_view encoded, std::string_view field) {
    std::string spaced(encoded);
    std::ranges::replace(spaced, '+', ' ');
    std::optional<std::string> text = percentDecoded(spaced);
    if (!text)
        return Error{
            Code::BadArgument, {}, std::string(field), {"has a % that two hex digits do not follow"}};
    if (const size_t valid = base::validUtf8Prefix(*text); valid < text->size())
        return Error{Code::InvalidUtf8, {}, std::string(field), {std::to_string(valid)}};
    return *std::move(text);
}

Error unknown(std::string name, std::span<const QueryField> known) {
    std::string names;
    for (const QueryField& field : known)
        names += (names.empty() ? "" : ", ") + std::string(field.name);
    return {Code::UnknownField, {}, std::move(name), {std::move(names)}};
}

}  // namespace

std::optional<std::string> percentDecoded(std::string_view encoded) {
    std::string out;
    for (size_t i = 0; i < encoded.size(); ++i) {
        if (encoded[i] != '%') {
            out.push_back(encoded[i]);
            continue;
        }
        unsigned byte = 0;
        const char* digits = encoded.data() + i + 1;
        if (encoded.size() - i < 3 || std::from_chars(digits, digits + 2, byte, 16).ptr != digits + 2)
            return std::nullopt;
        out.push_back(static_cast<char>(byte));
        i += 2;
    }
    return out;
}

std::string percentEncoded(std::string_view text, std::string_view alsoPlain) {
    constexpr std::string_view kDigits = "0123456789ABCDEF", kPlain = "-._~:@";
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           kPlain.find(c) != std::string_view::npos ||
                           alsoPlain.find(c) != std::string_view::npos;
        if (plain)
            out.push_back(c);
        else
            out.append({'%', kDigits[byte >> 4], kDigits[byte & 15]});
    }
    return out;
}

std::string queryText(const Json& object) {
    std::string out;
    for (const auto& [name, value] : object.items()) {
        const std::string text = value.is_string() ? value.get<std::string>() : dump(value);
        out.append(out.empty() ? "" : "&").append(percentEncoded(name)).append("=");
        out.append(percentEncoded(text));
    }
    return out;
}

base::Result<Json> parseQuery(std::string_view query, std::span<const QueryField> known) {
    Json out = Json::object();
    while (!query.empty()) {
        const size_t end = std::min(query.find('&'), query.size());
        const std::string_view part = query.substr(0, end);
        query.remove_prefix(std::min(end + 1, query.size()));
        if (part.empty()) continue;
        const size_t equals = std::min(part.find('='), part.size());
        CONCLAVE_TRY(const std::string name, decoded(part.substr(0, equals), "query"));
        const auto field = std::ranges::find(known, name, &QueryField::name);
        if (field == known.end()) return unknown(name, known);
        if (out.contains(name)) return Error{Code::BadArgument, {}, name, {"is given twice; give it once"}};
        CONCLAVE_TRY(std::string text, decoded(part.substr(std::min(equals + 1, part.size())), name));
        out[name] = valueOf(std::move(text), field->kind);
    }
    return out;
}

}  // namespace conclave::engine::protocol
