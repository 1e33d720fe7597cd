#include "engine/text/jinja/literal.h"

#include <charconv>
#include <optional>
#include <system_error>

#include "engine/base/utf8.h"
#include "engine/text/jinja/meter.h"
#include "engine/text/jinja/repr.h"

namespace conclave::engine::text::jinja {
namespace {

bool isDigit(char c, int base) {
    if (c >= '0' && c <= '9') return c - '0' < base;
    const char letter = static_cast<char>(c | 0x20);
    return base == 16 && letter >= 'a' && letter <= 'f';
}

/// Digits of the base with single underscores between them, from `at`; where they end.
size_t digitsEnd(std::string_view text, size_t at, int base) {
    size_t end = at;
    while (end < text.size() &&
           (isDigit(text[end], base) ||
            (text[end] == '_' && end > at && end + 1 < text.size() && isDigit(text[end + 1], base))))
        ++end;
    return end;
}

std::string withoutUnderscores(std::string_view text) {
    std::string out;
    for (const char c : text)
        if (c != '_') out.push_back(c);
    return out;
}

/// Where the float at the beginning ends, or 0.
size_t floatEnd(std::string_view text) {
    const size_t whole = digitsEnd(text, 0, 10);
    size_t end = whole;
    if (end < text.size() && text[end] == '.') {
        const size_t fraction = digitsEnd(text, end + 1, 10);
        if (fraction > end + 1) end = fraction;
    }
    if (end < text.size() && (text[end] | 0x20) == 'e') {
        size_t exponent = end + 1;
        if (exponent < text.size() && (text[exponent] == '+' || text[exponent] == '-')) ++exponent;
        const size_t last = digitsEnd(text, exponent, 10);
        if (last > exponent) end = last;
    }
    return end > whole ? end : 0;
}

NumberLiteral scanInteger(std::string_view text) {
    size_t from = 0, end = 0;
    int base = 10;
    if (text[0] == '0') {
        for (const auto& [letter, itsBase] : {std::pair{'b', 2}, std::pair{'o', 8}, std::pair{'x', 16}})
            if (text.size() > 2 && (text[1] | 0x20) == letter) {
                const size_t first = text[2] == '_' ? 3 : 2;
                if (digitsEnd(text, first, itsBase) > first) {
                    from = first;
                    base = itsBase;
                }
            }
        // A decimal may not begin with 0 unless it is all zeros.
        if (base == 10) {
            while (end < text.size() &&
                   (text[end] == '0' || (text[end] == '_' && end + 1 < text.size() && text[end + 1] == '0')))
                ++end;
            return {end, false, false, 0, 0};
        }
    }
    end = digitsEnd(text, from, base);
    const std::string digits = withoutUnderscores(text.substr(from, end - from));
    NumberLiteral out{end, false, false, 0, 0};
    const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), out.integer, base);
    out.tooBig = result.ec == std::errc::result_out_of_range;
    return out;
}

std::optional<char32_t> hexadecimal(std::string_view text, size_t at, size_t digits) {
    if (at + digits > text.size()) return std::nullopt;
    uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data() + at, text.data() + at + digits, value, 16);
    if (error != std::errc() || end != text.data() + at + digits) return std::nullopt;
    return static_cast<char32_t>(value);
}

bool isHighSurrogate(char32_t c) {
    return c >= 0xD800 && c < 0xDC00;
}
bool isLowSurrogate(char32_t c) {
    return c >= 0xDC00 && c < 0xE000;
}

/// \xhh, \uhhhh, \Uhhhhhhhh: `at` is behind the letter and moves behind the digits.
void appendHexEscape(std::string& out, std::string_view text, size_t& at, size_t digits, uint32_t line) {
    std::optional<char32_t> c = hexadecimal(text, at, digits);
    if (!c) {
        const char letter = digits == 2 ? 'x' : digits == 4 ? 'u' : 'U';
        failSyntax(std::string("truncated \\") + letter + std::string(digits, 'X') + " escape", line);
    }
    at += digits;
    if (isHighSurrogate(*c) && text.substr(at, 2) == "\\u") {
        const std::optional<char32_t> low = hexadecimal(text, at + 2, 4);
        if (low && isLowSurrogate(*low)) {
            c = 0x10000 + ((*c - 0xD800) << 10) + (*low - 0xDC00);
            at += 6;
        }
    }
    if (*c > 0x10FFFF) failSyntax("illegal Unicode character", line);
    const bool lone = isHighSurrogate(*c) || isLowSurrogate(*c);
    base::appendUtf8(out, lone ? char32_t{0xFFFD} : *c);
}

/// One escape; `at` is behind the backslash and moves behind the escape.
void appendEscape(std::string& out, std::string_view text, size_t& at, uint32_t line) {
    static constexpr std::string_view kLetters = "\\'\"abfnrtv";
    static constexpr std::string_view kMeanings = "\\'\"\a\b\f\n\r\t\v";
    const char c = text[at];
    if (const size_t known = kLetters.find(c); known != std::string_view::npos) {
        out.push_back(kMeanings[known]);
        ++at;
    } else if (c == '\n') {
        ++at;
    } else if (c >= '0' && c <= '7') {
        char32_t value = 0;
        for (size_t digits = 0; digits < 3 && at < text.size() && text[at] >= '0' && text[at] <= '7';
             ++digits)
            value = value * 8 + static_cast<char32_t>(text[at++] - '0');
        base::appendUtf8(out, value);
    } else if (c == 'x' || c == 'u' || c == 'U') {
        ++at;
        appendHexEscape(out, text, at, c == 'x' ? 2 : c == 'u' ? 4 : 8, line);
    } else if (c == 'N') {
        failSyntax("character names (\\N{…}) are not supported, write the character", line);
    } else {
        out.push_back('\\');  // not an escape: both stay
    }
}

}  // namespace

NumberLiteral scanNumber(std::string_view text, bool mayBeFloat) {
    if (mayBeFloat)
        if (const size_t end = floatEnd(text); end > 0) {
            NumberLiteral out{end, true, false, 0, 0};
            out.number = parseFloat(text.substr(0, end)).value_or(0.0);
            return out;
        }
    return scanInteger(text);
}

std::string unescape(std::string_view text, uint32_t line) {
    std::string out;
    out.reserve(text.size());
    for (size_t at = 0; at < text.size();) {
        if (text[at] != '\\') {
            out.push_back(text[at++]);
            continue;
        }
        if (++at == text.size()) failSyntax("\\ at end of string", line);
        appendEscape(out, text, at, line);
    }
    return out;
}

}  // namespace conclave::engine::text::jinja
