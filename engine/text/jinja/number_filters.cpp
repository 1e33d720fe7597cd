// Filters that make numbers.

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "engine/text/jinja/filters.h"
#include "engine/text/jinja/interpreter.h"
#include "engine/text/jinja/operators.h"
#include "engine/text/jinja/repr.h"
#include "engine/text/jinja/unicode.h"

namespace conclave::engine::text::jinja {
namespace {

std::optional<int64_t> truncated(double value) {
    // Outside of this range a double has no int64; infinity and NaN fail the comparison too.
    if (!(std::fabs(value) < 9223372036854774784.0)) return std::nullopt;
    return static_cast<int64_t>(value);
}

Value toInt(Call& call) {
    const Value byDefault = call.has(0) ? call.at(0) : Value(int64_t{0});
    if (call.self.is(Kind::Undefined)) fail(call.self.undefinedMessage());
    std::optional<double> number;
    if (isInteger(call.self)) return Value(toInteger(call.self));
    if (call.self.is(Kind::Float)) number = call.self.number();
    if (call.self.is(Kind::String)) {
        const std::string_view text = call.self.text().view();
        const int64_t base = call.integer(1, 10);
        if (base != 0 && (base < 2 || base > 36)) fail("int() base must be >= 2 and <= 36, or 0");
        if (const auto integer = parseInteger(text, static_cast<int>(base))) return Value(*integer);
        number = parseFloat(text);  // so that "42.23"|int gives 42
    }
    const std::optional<int64_t> whole = number ? truncated(*number) : std::nullopt;
    return whole ? Value(*whole) : byDefault;
}

Value toFloat(Call& call) {
    if (call.self.is(Kind::Undefined)) fail(call.self.undefinedMessage());
    if (isNumber(call.self)) return Value(toDouble(call.self));
    if (call.self.is(Kind::String))
        if (const auto number = parseFloat(call.self.text().view())) return Value(*number);
    return call.has(0) ? call.at(0) : Value(0.0);
}

Value absolute(Call& call) {
    if (call.self.is(Kind::Undefined)) fail(call.self.undefinedMessage());
    if (call.self.is(Kind::Float)) return Value(std::fabs(call.self.number()));
    if (!isInteger(call.self)) fail("bad operand type for abs(): '" + std::string(typeName(call.self)) + "'");
    return toInteger(call.self) < 0 ? withSign('-', call.self) : Value(toInteger(call.self));
}

/// Python's round(): to the nearest decimal, exact on the digits of the double, ties to even.
double rounded(double value, int64_t digits) {
    if (!std::isfinite(value) || digits > 300) return value;
    if (digits < 0) {
        const double power = std::pow(10.0, static_cast<double>(-digits));
        return std::isfinite(power) ? std::nearbyint(value / power) * power : 0.0;
    }
    std::array<char, 700> buffer{};
    const int length = std::snprintf(buffer.data(), buffer.size(), "%.*f", static_cast<int>(digits), value);
    double out = value;
    std::from_chars(buffer.data(), buffer.data() + length, out);
    return out;
}

Value roundTo(Call& call) {
    const int64_t precision = call.integer(0, 0);
    const std::string_view method = call.has(1) ? call.text(1).view() : "common";
    if (method != "common" && method != "ceil" && method != "floor")
        fail("method must be common, ceil or floor");
    if (call.self.is(Kind::Undefined)) fail(call.self.undefinedMessage());
    if (!isNumber(call.self))
        fail("type " + std::string(typeName(call.self)) + " doesn't define __round__ method");
    if (method != "common") {
        const double power = std::pow(10.0, static_cast<double>(precision));
        const double scaled = toDouble(call.self) * power;
        const double whole = method == "ceil" ? std::ceil(scaled) : std::floor(scaled);
        return Value(whole / power);
    }
    if (call.self.is(Kind::Float)) return Value(rounded(call.self.number(), precision));
    const int64_t value = toInteger(call.self);
    if (precision >= 0) return Value(value);
    const auto result = truncated(rounded(static_cast<double>(value), precision));
    if (!result) fail("an integer leaves the 64 bits that templates may use");
    return Value(*result);
}

Value length(Call& call) {
    const Value& self = call.self;
    switch (self.kind()) {
    case Kind::Undefined:
        return Value(int64_t{0});
    case Kind::String:
        call.in.meter().step(self.text().size() / 256);
        return Value(static_cast<int64_t>(countCharacters(self.text().view())));
    case Kind::List:
    case Kind::Tuple:
        return Value(static_cast<int64_t>(self.as<ListObject>().items.size()));
    case Kind::Dict:
        return Value(static_cast<int64_t>(self.as<DictObject>().size()));
    case Kind::View:
        return Value(static_cast<int64_t>(self.as<ViewObject>().dict->size()));
    case Kind::Range:
        return Value(self.as<RangeObject>().size());
    case Kind::Loop: {
        const TextRef name = call.in.string("length", true).textRef();
        return call.in.attribute(self, name);
    }
    default:
        fail("object of type '" + std::string(typeName(self)) + "' has no len()");
    }
}

Value fileSize(Call& call) {
    Value number = toFloat(call);
    const bool binary = call.flag(0, false);
    const double base = binary ? 1024 : 1000;
    const double bytes = toDouble(number);
    if (bytes == 1) return call.in.string("1 Byte", true);
    if (bytes < base) return call.in.string(std::to_string(truncated(bytes).value_or(0)) + " Bytes", true);
    static constexpr std::string_view kLetters = "kMGTPEZY";
    double unit = base;
    size_t i = 0;
    while (i + 1 < kLetters.size() && bytes >= unit * base) {
        unit *= base;
        ++i;
    }
    std::array<char, 400> buffer{};
    const int length = std::snprintf(buffer.data(), buffer.size(), "%.1f ", bytes / unit);
    std::string out(buffer.data(), static_cast<size_t>(length));
    out += binary && i == 0 ? 'K' : kLetters[i];
    return call.in.string(out + (binary ? "iB" : "B"), true);
}

constexpr FunctionRow kFilters[] = {
    {"int", "?default ?base", toInt},         {"float", "?default", toFloat}, {"abs", "", absolute},
    {"round", "?precision ?method", roundTo}, {"length", "", length},         {"count", "", length},
    {"filesizeformat", "?binary", fileSize},
};

}  // namespace

std::span<const FunctionRow> numberFilters() {
    return kFilters;
}

}  // namespace conclave::engine::text::jinja
