#include "engine/text/jinja/format.h"

#include <algorithm>
#include <cctype>
#include <cmath>

#include "engine/base/utf8.h"
#include "engine/text/jinja/format_spec.h"
#include "engine/text/jinja/interpreter.h"
#include "engine/text/jinja/repr.h"
#include "engine/text/jinja/string.h"

namespace conclave::engine::text::jinja {
namespace {

/// text % value: walks the format and takes the arguments one after the other, or by name.
class PercentFormatter {
  public:
    PercentFormatter(Interpreter& in, const Text& format, const Value& value)
        : in_(in), format_(format), value_(value) {
        if (value.is(Kind::Tuple))
            arguments_ = value.as<ListObject>().items;
        else
            arguments_ = {value};
    }

    Text run() {
        const std::string_view text = format_.view();
        while (at_ < text.size()) {
            const size_t percent = std::min(text.find('%', at_), text.size());
            put(format_.slice(at_, percent));
            at_ = percent;
            if (at_ < text.size()) conversion();
        }
        const bool allUsed = next_ >= arguments_.size() || named_ || value_.is(Kind::Dict);
        if (!allUsed) fail("not all arguments converted during string formatting");
        return std::move(out_);
    }

  private:
    static constexpr std::string_view kConversions = "sracdiuxXoeEfFgG";

    void put(const Text& text) {
        out_.append(text);
        in_.meter().grown(out_.size(), text.size());
    }

    char current() const {
        if (at_ >= format_.size()) fail("incomplete format");
        return format_.bytes()[at_];
    }

    const Value& argument() {
        if (next_ >= arguments_.size()) fail("not enough arguments for format string");
        return arguments_[next_++];
    }

    int64_t number() {
        if (current() == '*') {
            ++at_;
            const Value& value = argument();
            if (!isInteger(value)) fail("* wants int");
            return std::clamp<int64_t>(toInteger(value), -INT32_MAX, INT32_MAX);
        }
        int64_t out = 0;
        for (; std::isdigit(static_cast<unsigned char>(current())) != 0; ++at_)
            out = std::min<int64_t>(out * 10 + (current() - '0'), INT32_MAX);
        return out;
    }

    void flags(FormatSpec& spec) {
        spec.align = '>';
        for (bool more = true; more;) {
            switch (current()) {
            case '-':
                spec.align = '<';
                break;
            case '+':
                spec.sign = '+';
                break;
            case ' ':
                if (spec.sign != '+') spec.sign = ' ';
                break;
            case '#':
                spec.alternate = true;
                break;
            case '0':
                if (spec.align != '<') spec.align = '=';
                break;
            default:
                more = false;
            }
            if (more) ++at_;
        }
    }

    std::optional<Value> byName() {
        if (current() != '(') return std::nullopt;
        const size_t end = format_.view().find(')', at_);
        if (end == std::string_view::npos) fail("incomplete format key");
        if (!value_.is(Kind::Dict)) fail("format requires a mapping");
        const std::string_view key = format_.view().substr(at_ + 1, end - at_ - 1);
        const Value* found = value_.as<DictObject>().find(key);
        if (!found) fail("KeyError: " + inQuotes(key));
        at_ = end + 1;
        named_ = true;
        return *found;
    }

    void conversion() {
        ++at_;
        const std::optional<Value> named = byName();
        FormatSpec spec;
        flags(spec);
        spec.width = number();
        if (spec.width < 0) {
            spec.align = '<';
            spec.width = -spec.width;
        }
        if (current() == '.') {
            ++at_;
            spec.precision = std::max<int64_t>(number(), 0);
        }
        while (current() == 'l' || current() == 'h' || current() == 'L')
            ++at_;
        const char type = current();
        if (type == '%') {
            ++at_;
            return put(Text("%", true));
        }
        const Value& value = named ? *named : argument();
        if (kConversions.find(type) == std::string_view::npos) {
            size_t end = at_;
            base::nextCodePoint(format_.view(), end);
            fail("unsupported format character " + inQuotes(format_.view().substr(at_, end - at_)));
        }
        ++at_;
        put(converted(type, spec, value));
    }

    Text converted(char type, FormatSpec spec, const Value& value) {
        static constexpr std::string_view kIntegers = "diuxXo";
        if (type == 's' || type == 'r' || type == 'a' || (type == 'c' && value.is(Kind::String))) {
            if (spec.align == '=') spec.align = '>';
            return formatText(type == 's' || type == 'c' ? in_.text(value) : toRepr(value, in_.meter()), spec,
                              in_.meter());
        }
        if (value.is(Kind::Undefined)) fail(value.undefinedMessage());
        const std::string letter(1, type);
        if (kIntegers.find(type) != std::string_view::npos || type == 'c') {
            const bool fits =
                isInteger(value) || (value.is(Kind::Float) && (type == 'd' || type == 'i' || type == 'u'));
            if (!fits)
                fail("%" + letter + " format: a real number is required, not " +
                     std::string(typeName(value)));
            spec.type = type == 'i' || type == 'u' ? 'd' : type;
            if (spec.align == '=') spec.fill = "0";
            return formatNumber(Value(truncated(value)), minimumDigits(spec, value), in_.meter());
        }
        if (!isNumber(value)) fail("must be real number, not " + std::string(typeName(value)));
        spec.type = type;
        if (spec.align == '=') spec.fill = "0";
        return formatNumber(Value(toDouble(value)), spec, in_.meter());
    }

    static int64_t truncated(const Value& value) {
        if (isInteger(value)) return toInteger(value);
        if (!(std::abs(value.number()) < 9.2e18)) fail("cannot convert float to a 64-bit integer");
        return static_cast<int64_t>(value.number());
    }

    /// The precision of %d is its least number of digits, which a zero-filled width says just as well.
    static FormatSpec minimumDigits(FormatSpec spec, const Value& value) {
        if (!spec.precision) return spec;
        const int64_t digits = std::exchange(spec.precision, std::nullopt).value_or(0);
        if (digits >= spec.width) {
            spec.width = digits + (toDouble(value) < 0 ? 1 : 0);
            spec.align = '=';
            spec.fill = "0";
        }
        return spec;
    }

    Interpreter& in_;
    const Text& format_;
    const Value& value_;
    std::vector<Value> arguments_;
    size_t next_ = 0, at_ = 0;
    bool named_ = false;
    Text out_;
};

class BraceFormatter {
  public:
    BraceFormatter(Interpreter& in, const Args& args) : in_(in), args_(args) {}

    Text run(const Text& format, int depth = 0) {
        if (depth > 1) fail("Max string recursion exceeded");
        Text out;
        const std::string_view text = format.view();
        size_t at = 0;
        while (at < text.size()) {
            const size_t brace = std::min(text.find_first_of("{}", at), text.size());
            out.append(format, at, brace);
            at = brace;
            if (at == text.size()) break;
            if (at + 1 < text.size() && text[at + 1] == text[at]) {
                out.append(format, at, at + 1);
                at += 2;
                continue;
            }
            if (text[at] == '}') fail("Single '}' encountered in format string");
            const size_t end = closing(text, at);
            out.append(field(format.slice(at + 1, end), depth));
            in_.meter().grown(out.size(), end - at);
            at = end + 1;
        }
        return out;
    }

  private:
    static size_t closing(std::string_view text, size_t open) {
        size_t level = 0;
        for (size_t at = open; at < text.size(); ++at) {
            if (text[at] == '{') ++level;
            if (text[at] == '}' && --level == 0) return at;
        }
        fail(open + 1 == text.size() ? "Single '{' encountered in format string"
                                     : "expected '}' before end of string");
    }

    Text field(const Text& field, int depth) {
        const std::string_view text = field.view();
        const size_t nameEnd = std::min(text.find_first_of("!:"), text.size());
        const Value value = lookUp(text.substr(0, nameEnd));
        size_t at = nameEnd;
        char conversion = '\0';
        if (at < text.size() && text[at] == '!') {
            if (at + 1 >= text.size()) fail("unmatched '{' in format spec");
            conversion = text[at + 1];
            at += 2;
        }
        if (at < text.size() && text[at] != ':') fail("expected ':' after conversion specifier");
        const Text spec = at < text.size() ? run(field.slice(at + 1, field.size()), depth + 1) : Text();
        return shown(value, conversion, spec.view());
    }

    Text shown(const Value& value, char conversion, std::string_view spec) {
        if (conversion == 'r' || conversion == 'a' || conversion == 's') {
            const Text text = conversion == 's' ? in_.text(value) : toRepr(value, in_.meter());
            return formatText(text, parseSpec(spec), in_.meter());
        }
        if (conversion != '\0') fail(std::string("Unknown conversion specifier ") + conversion);
        if (spec.empty()) return in_.text(value);
        const FormatSpec parsed = parseSpec(spec);
        if (isNumber(value)) return formatNumber(value, parsed, in_.meter());
        if (!value.is(Kind::String) && !value.is(Kind::Undefined))
            fail("unsupported format string passed to " + std::string(typeName(value)) + ".__format__");
        if (parsed.type != '\0' && parsed.type != 's')
            fail(std::string("Unknown format code '") + parsed.type + "' for object of type 'str'");
        return formatText(in_.text(value), parsed, in_.meter());
    }

    Value first(std::string_view name) {
        const bool isNumber =
            std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
        if (isNumber) {
            const size_t index =
                name.empty() ? next_++ : static_cast<size_t>(parseInteger(name, 10).value_or(0));
            if (index >= args_.positional.size())
                fail("Replacement index " + std::to_string(index) +
                     " out of range for positional args tuple");
            return args_.positional[index];
        }
        for (const auto& [key, value] : args_.keyword)
            if (key->view() == name) return value;
        fail("KeyError: " + inQuotes(name));
    }

    /// name, then .attribute and [key] as often as they come.
    Value lookUp(std::string_view path) {
        const size_t firstEnd = std::min(path.find_first_of(".["), path.size());
        Value value = first(path.substr(0, firstEnd));
        path.remove_prefix(firstEnd);
        while (!path.empty()) {
            const bool isAttribute = path[0] == '.';
            const size_t end =
                isAttribute ? std::min(path.find_first_of(".[", 1), path.size()) : path.find(']');
            if (end == std::string_view::npos || end == 1) fail("Empty attribute in format string");
            const std::string_view name = path.substr(1, end - 1);
            const TextRef key(in_.meter(), Text(std::string(name), true));
            const bool isIndex = !isAttribute && std::all_of(name.begin(), name.end(),
                                                             [](char c) { return c >= '0' && c <= '9'; });
            if (isAttribute)
                value = in_.attribute(value, key);
            else
                value = in_.item(value, isIndex ? Value(parseInteger(name, 10).value_or(0)) : Value(key));
            path.remove_prefix(std::min(isAttribute ? end : end + 1, path.size()));
        }
        return value;
    }

    Interpreter& in_;
    const Args& args_;
    size_t next_ = 0;
};

}  // namespace

Text formatPercent(Interpreter& in, const Text& format, const Value& value) {
    return PercentFormatter(in, format, value).run();
}

Text formatBraces(Interpreter& in, const Text& format, const Args& args) {
    return BraceFormatter(in, args).run(format);
}

}  // namespace conclave::engine::text::jinja
