#include "engine/text/jinja/repr.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>
#include <system_error>

#include "engine/base/utf8.h"
#include "engine/text/jinja/callable.h"
#include "engine/text/jinja/loop.h"
#include "engine/text/jinja/unicode.h"

namespace conclave::engine::text::jinja {
namespace {

void appendEscaped(std::string& out, char32_t c) {
    std::array<char, 16> buffer{};
    const char* form = c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x";
    const int length = std::snprintf(buffer.data(), buffer.size(), form, static_cast<unsigned>(c));
    out.append(buffer.data(), static_cast<size_t>(length));
}

/// Writes the repr of values into one string and notes whether all strings met were trusted.
class Printer {
  public:
    explicit Printer(Meter& meter) : meter_(meter) {}

    void value(const Value& value) {
        meter_.step();
        switch (value.kind()) {
        case Kind::String:
            trusted_ = trusted_ && value.text().trusted();
            put(inQuotes(value.text().view()));
            return;
        case Kind::List:
            return items(value.as<ListObject>().items, "[", "]");
        case Kind::Tuple:
            return items(value.as<ListObject>().items, "(",
                         value.as<ListObject>().items.size() == 1 ? ",)" : ")");
        case Kind::Dict:
            return dict(value.as<DictObject>());
        case Kind::Namespace:
            put("<Namespace ");
            dict(value.as<DictObject>());
            return put(">");
        case Kind::View:
            return view(value);
        default:
            return put(scalar(value));
        }
    }

    std::string out;
    bool trusted() const { return trusted_; }

  private:
    void put(std::string_view text) {
        out.append(text);
        meter_.grown(out.size(), text.size());
    }

    void items(const std::vector<Value>& values, std::string_view open, std::string_view close) {
        const Meter::Nesting nesting(meter_);
        put(open);
        for (size_t i = 0; i < values.size(); ++i) {
            if (i > 0) put(", ");
            value(values[i]);
        }
        put(close);
    }

    void dict(const DictObject& values) {
        const Meter::Nesting nesting(meter_);
        put("{");
        bool first = true;
        for (const auto& [key, item] : values.entries()) {
            if (!std::exchange(first, false)) put(", ");
            value(key);
            put(": ");
            value(item);
        }
        put("}");
    }

    void view(const Value& shown) {
        const auto& it = shown.as<ViewObject>();
        const Meter::Nesting nesting(meter_);
        put(typeName(shown));
        put("([");
        bool first = true;
        for (const auto& [key, item] : it.dict->entries()) {
            if (!std::exchange(first, false)) put(", ");
            if (it.of == ViewOf::Items) put("(");
            if (it.of != ViewOf::Values) value(key);
            if (it.of == ViewOf::Items) put(", ");
            if (it.of != ViewOf::Keys) value(item);
            if (it.of == ViewOf::Items) put(")");
        }
        put("])");
    }

    static std::string range(const RangeObject& it) {
        std::string out = "range(" + std::to_string(it.start) + ", " + std::to_string(it.stop);
        if (it.step != 1) out += ", " + std::to_string(it.step);
        return out + ")";
    }

    static std::string scalar(const Value& value) {
        switch (value.kind()) {
        case Kind::Undefined:
            return "Undefined";
        case Kind::None:
            return "None";
        case Kind::Bool:
            return value.boolean() ? "True" : "False";
        case Kind::Int:
            return std::to_string(value.integer());
        case Kind::Float:
            return formatFloat(value.number());
        case Kind::Range:
            return range(value.as<RangeObject>());
        case Kind::Loop:
            return value.as<LoopObject>().describe();
        case Kind::Macro:
            return value.as<MacroObject>().describe();
        case Kind::Function:
            return "<function " + std::string(value.as<FunctionObject>().row->name) + ">";
        default:
            return "<" + std::string(typeName(value)) + ">";
        }
    }

    Meter& meter_;
    bool trusted_ = true;
};

std::string_view stripped(std::string_view text) {
    const size_t from = skipSpaceLeft(text);
    return from == text.size() ? std::string_view() : text.substr(from, skipSpaceRight(text) - from);
}

/// Digits with single underscores between them, as Python allows; empty where they are misplaced.
std::string withoutUnderscores(std::string_view digits) {
    std::string out;
    for (size_t i = 0; i < digits.size(); ++i) {
        if (digits[i] != '_') {
            out.push_back(digits[i]);
            continue;
        }
        const auto isDigit = [](char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; };
        if (i == 0 || i + 1 == digits.size() || !isDigit(digits[i - 1]) || !isDigit(digits[i + 1])) return {};
    }
    return out;
}

}  // namespace

std::string inQuotes(std::string_view text) {
    const char quote =
        text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos ? '"' : '\'';
    std::string out(1, quote);
    for (size_t at = 0; at < text.size();) {
        const size_t from = at;
        const char32_t c = base::nextCodePoint(text, at);
        switch (c) {
        case '\n':
            out.append("\\n");
            break;
        case '\r':
            out.append("\\r");
            break;
        case '\t':
            out.append("\\t");
            break;
        case '\\':
            out.append("\\\\");
            break;
        default:
            if (c == static_cast<char32_t>(quote))
                out.append({'\\', quote});
            else if (isPrintable(c))
                out.append(text.substr(from, at - from));
            else
                appendEscaped(out, c);
        }
    }
    out.push_back(quote);
    return out;
}

std::string formatFloat(double value) {
    if (std::isnan(value)) return "nan";
    if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
    std::array<char, 64> buffer{};
    char* const end = buffer.data() + buffer.size();
    const auto scientific = std::to_chars(buffer.data(), end, value, std::chars_format::scientific);
    const std::string_view shortest(buffer.data(), static_cast<size_t>(scientific.ptr - buffer.data()));
    const size_t e = shortest.find('e');
    int exponent = 0;
    const std::string_view digits = shortest.substr(e + 1);
    std::from_chars(digits.data() + (digits[0] == '+'), digits.data() + digits.size(), exponent);
    if (exponent < -4 || exponent >= 16) return std::string(shortest);  // 1e+16, as Python writes it
    std::array<char, 64> fixed{};
    const auto done =
        std::to_chars(fixed.data(), fixed.data() + fixed.size(), value, std::chars_format::fixed);
    std::string out(fixed.data(), done.ptr);
    if (out.find('.') == std::string::npos) out.append(".0");
    return out;
}

void appendText(Text& out, const Value& value, Meter& meter) {
    if (value.is(Kind::String)) return out.append(value.text());
    if (value.is(Kind::Undefined)) return;
    if (value.is(Kind::Joiner)) return out.append("<Joiner>", true);
    Printer printer(meter);
    printer.value(value);
    out.append(printer.out, printer.trusted());
}

Text toText(const Value& value, Meter& meter) {
    Text out;
    appendText(out, value, meter);
    return out;
}

Text toRepr(const Value& value, Meter& meter) {
    Printer printer(meter);
    printer.value(value);
    return Text(std::move(printer.out), printer.trusted());
}

std::optional<int64_t> parseInteger(std::string_view text, int base) {
    text = stripped(text);
    bool negative = false;
    if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
        negative = text[0] == '-';
        text.remove_prefix(1);
    }
    const auto prefixed = [&text](char letter) {
        return text.size() > 2 && text[0] == '0' && (text[1] | 0x20) == letter;
    };
    for (const auto& [letter, itsBase] : {std::pair{'x', 16}, std::pair{'o', 8}, std::pair{'b', 2}})
        if ((base == itsBase || base == 0) && prefixed(letter)) {
            text.remove_prefix(text.size() > 3 && text[2] == '_' ? 3 : 2);
            base = itsBase;
        }
    if (base == 0) base = 10;
    const std::string digits = withoutUnderscores(text);
    if (digits.empty()) return std::nullopt;
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    if (end != digits.data() + digits.size() || error == std::errc::invalid_argument) return std::nullopt;
    const auto most = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
    if (error != std::errc() || value > most + (negative ? 1 : 0))
        fail("integer of more than 64 bits: " + digits);
    return static_cast<int64_t>(negative ? uint64_t{0} - value : value);
}

std::optional<double> parseFloat(std::string_view text) {
    std::string digits = withoutUnderscores(stripped(text));
    std::string_view rest = digits;
    bool negative = false;
    if (!rest.empty() && (rest[0] == '-' || rest[0] == '+')) {
        negative = rest[0] == '-';
        rest.remove_prefix(1);
        if (!rest.empty() && (rest[0] == '-' || rest[0] == '+')) return std::nullopt;
    }
    double value = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
    if (rest.empty() || end != rest.data() + rest.size() || error == std::errc::invalid_argument)
        return std::nullopt;
    if (error == std::errc::result_out_of_range) {
        // Too small is zero and too large infinity, as in Python; from_chars leaves the value alone.
        value = rest.find("e-") != std::string_view::npos || rest.find("E-") != std::string_view::npos
                    ? 0.0
                    : std::numeric_limits<double>::infinity();
    }
    return negative ? -value : value;
}

}  // namespace conclave::engine::text::jinja
