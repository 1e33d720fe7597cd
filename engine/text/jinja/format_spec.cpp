#include "engine/text/jinja/format_spec.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdio>

#include "engine/base/utf8.h"
#include "engine/text/jinja/repr.h"
#include "engine/text/jinja/string.h"
#include "engine/text/jinja/unicode.h"

namespace conclave::engine::text::jinja {
namespace {

constexpr int64_t kMostDigits = 1000;

bool isAlign(char c) {
    return c == '<' || c == '>' || c == '^' || c == '=';
}

int64_t readNumber(std::string_view& text) {
    int64_t out = 0;
    while (!text.empty() && std::isdigit(static_cast<unsigned char>(text[0])) != 0) {
        out = out * 10 + (text[0] - '0');
        if (out > INT32_MAX) fail("Too many decimal digits in format string");
        text.remove_prefix(1);
    }
    return out;
}

struct Digits {
    bool negative = false;
    std::string prefix;  // 0x …
    std::string whole;
    std::string rest;  // fraction, exponent, percent sign
};

std::string inBase(uint64_t value, unsigned base, bool upperCase) {
    static constexpr std::string_view kLower = "0123456789abcdef", kUpper = "0123456789ABCDEF";
    std::string out;
    do {
        out.push_back((upperCase ? kUpper : kLower)[value % base]);
        value /= base;
    } while (value > 0);
    std::reverse(out.begin(), out.end());
    return out;
}

Digits integerDigits(int64_t value, const FormatSpec& spec) {
    Digits out;
    out.negative = value < 0;
    const auto magnitude =
        out.negative ? uint64_t{0} - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
    switch (spec.type) {
    case 'x':
        out = {out.negative, "0x", inBase(magnitude, 16, false), ""};
        break;
    case 'X':
        out = {out.negative, "0X", inBase(magnitude, 16, true), ""};
        break;
    case 'o':
        out = {out.negative, "0o", inBase(magnitude, 8, false), ""};
        break;
    case 'b':
        out = {out.negative, "0b", inBase(magnitude, 2, false), ""};
        break;
    default:
        out.whole = inBase(magnitude, 10, false);
    }
    if (!spec.alternate) out.prefix.clear();
    return out;
}

std::string printed(double value, char type, int precision, bool alternate) {
    const std::string form = std::string("%") + (alternate ? "#" : "") + ".*" + type;
    const int length = std::snprintf(nullptr, 0, form.c_str(), precision, value);
    std::string out(static_cast<size_t>(std::max(length, 0)) + 1, '\0');
    std::snprintf(out.data(), out.size(), form.c_str(), precision, value);
    out.pop_back();
    return out;
}

Digits floatDigits(double value, const FormatSpec& spec) {
    Digits out;
    out.negative = std::signbit(value) && !std::isnan(value);
    const double magnitude = std::fabs(value);
    const auto precision = static_cast<int>(spec.precision.value_or(6));
    std::string text;
    switch (spec.type) {
    case '\0':
        text =
            spec.precision ? printed(magnitude, 'g', std::max(precision, 1), false) : formatFloat(magnitude);
        if (std::isfinite(magnitude) && text.find_first_of(".e") == std::string::npos) text += ".0";
        break;
    case '%':
        text = printed(magnitude * 100, 'f', precision, spec.alternate) + "%";
        break;
    case 'n':
        text = printed(magnitude, 'g', precision, spec.alternate);
        break;
    default:
        text = printed(magnitude, spec.type, precision, spec.alternate);
    }
    const size_t wholeEnd = std::min(text.find_first_not_of("0123456789"), text.size());
    out.whole = text.substr(0, wholeEnd);
    out.rest = text.substr(wholeEnd);
    return out;
}

/// Separators between groups of three digits (four for hexadecimal, octal and binary).
std::string grouped(const std::string& digits, const FormatSpec& spec) {
    if (spec.grouping == '\0') return digits;
    const size_t size = spec.type == 'x' || spec.type == 'X' || spec.type == 'o' || spec.type == 'b' ? 4 : 3;
    std::string out;
    for (size_t i = 0; i < digits.size(); ++i) {
        if (i > 0 && (digits.size() - i) % size == 0) out.push_back(spec.grouping);
        out.push_back(digits[i]);
    }
    return out;
}

Text paddedTo(const Text& text, const FormatSpec& spec, char align, Meter& meter) {
    const Text fill(spec.fill,
                    spec.fill == " " || spec.fill == "0");  // others may come from a format of the input
    if (align != '^') return padded(text, align == '<' ? Side::Left : Side::Right, spec.width, fill, meter);
    // Unlike str.center, format puts the odd one to the right.
    const auto length = static_cast<int64_t>(countCharacters(text.view()));
    const int64_t left = std::max<int64_t>(spec.width - length, 0) / 2;
    return padded(padded(text, Side::Right, length + left, fill, meter), Side::Left, spec.width, fill, meter);
}

}  // namespace

FormatSpec parseSpec(std::string_view text) {
    FormatSpec out;
    size_t second = 0;
    if (!text.empty()) base::nextCodePoint(text, second);
    if (second > 0 && second < text.size() && isAlign(text[second])) {
        out.fill = std::string(text.substr(0, second));
        out.align = text[second];
        text.remove_prefix(second + 1);
    } else if (!text.empty() && isAlign(text[0])) {
        out.align = text[0];
        text.remove_prefix(1);
    }
    const auto take = [&text](std::string_view any) {
        if (text.empty() || any.find(text[0]) == std::string_view::npos) return '\0';
        const char c = text[0];
        text.remove_prefix(1);
        return c;
    };
    if (const char sign = take("+- ")) out.sign = sign;
    out.alternate = take("#") != '\0';
    if (take("0") != '\0' && out.align == '\0') {
        out.fill = "0";
        out.align = '=';
    }
    out.width = readNumber(text);
    out.grouping = take(",_");
    if (take(".") != '\0') {
        if (text.empty() || std::isdigit(static_cast<unsigned char>(text[0])) == 0)
            fail("Format specifier missing precision");
        out.precision = readNumber(text);
    }
    out.type = take("bcdeEfFgGnosxX%");
    if (!text.empty()) fail("Invalid format specifier");
    return out;
}

Text formatNumber(const Value& number, const FormatSpec& spec, Meter& meter) {
    if (spec.precision.value_or(0) > kMostDigits) fail("precision too big");
    static constexpr std::string_view kIntegerTypes = "bdoxXnc", kFloatTypes = "eEfFgGn%";
    const bool asInteger =
        isInteger(number) && (spec.type == '\0' || kIntegerTypes.find(spec.type) != std::string_view::npos);
    if (!asInteger && spec.type != '\0' && kFloatTypes.find(spec.type) == std::string_view::npos)
        fail(std::string("Unknown format code '") + spec.type + "' for object of type '" +
             std::string(typeName(number)) + "'");
    if (asInteger && spec.precision) fail("Precision not allowed in integer format specifier");
    if (spec.type == 'c') {
        const int64_t code = toInteger(number);
        if (code < 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
            fail("%c arg not in range(0x110000)");
        std::string character;
        base::appendUtf8(character, static_cast<char32_t>(code));
        // A character made from a number says nothing about who wrote it.
        return paddedTo(Text(std::move(character), false), spec, spec.align == '\0' ? '<' : spec.align,
                        meter);
    }
    const Digits digits =
        asInteger ? integerDigits(toInteger(number), spec) : floatDigits(toDouble(number), spec);
    std::string head = digits.negative ? "-" : spec.sign == '-' ? "" : std::string(1, spec.sign);
    head += digits.prefix;
    std::string body = grouped(digits.whole, spec) + digits.rest;
    if (spec.align == '=') {
        const auto room = spec.width - static_cast<int64_t>(head.size());
        Text out(head, true);
        FormatSpec inner = spec;
        inner.width = room;
        out.append(paddedTo(Text(std::move(body), true), inner, '>', meter));
        return out;
    }
    return paddedTo(Text(head + body, true), spec, spec.align == '\0' ? '>' : spec.align, meter);
}

Text formatText(const Text& text, const FormatSpec& spec, Meter& meter) {
    if (spec.align == '=') fail("'=' alignment not allowed in string format specifier");
    const size_t end =
        spec.precision ? byteOffset(text.view(), static_cast<size_t>(*spec.precision)) : text.size();
    return paddedTo(text.slice(0, end), spec, spec.align == '\0' ? '<' : spec.align, meter);
}

}  // namespace conclave::engine::text::jinja
