// Methods of strings.

#include <algorithm>

#include "engine/base/utf8.h"
#include "engine/text/jinja/format.h"
#include "engine/text/jinja/interpreter.h"
#include "engine/text/jinja/methods.h"
#include "engine/text/jinja/repr.h"
#include "engine/text/jinja/string.h"
#include "engine/text/jinja/unicode.h"

namespace conclave::engine::text::jinja {
namespace {

const Text& selfOf(Call& call) {
    const Text& self = call.self.text();
    call.in.meter().step(self.size() / 256);
    return self;
}

Value listOf(Call& call, std::vector<Text> parts) {
    call.in.meter().items(parts.size());
    std::vector<Value> out;
    out.reserve(parts.size());
    for (Text& part : parts)
        out.push_back(call.in.string(std::move(part)));
    return call.in.heap().list(std::move(out));
}

Value strip(Call& call, Side side) {
    if (!call.given(0)) return call.in.string(stripped(selfOf(call), side));
    const std::string_view chars = call.text(0).view();
    return call.in.string(stripped(selfOf(call), side, &chars));
}
Value stripBoth(Call& call) {
    return strip(call, Side::Both);
}
Value stripLeft(Call& call) {
    return strip(call, Side::Left);
}
Value stripRight(Call& call) {
    return strip(call, Side::Right);
}

Value splitWith(Call& call, bool fromRight) {
    const Text& self = selfOf(call);
    const int64_t most = call.integer(1, -1);
    if (!call.given(0)) return listOf(call, splitAtSpace(self, most, fromRight));
    if (call.text(0).empty()) fail("empty separator");
    return listOf(call, split(self, call.text(0).view(), most, fromRight));
}
Value splitLeft(Call& call) {
    return splitWith(call, false);
}
Value splitRight(Call& call) {
    return splitWith(call, true);
}

Value splitLines(Call& call) {
    return listOf(call, lines(selfOf(call), call.flag(0, false)));
}

Value partitionAt(Call& call, bool fromRight) {
    const Text& self = selfOf(call);
    const Text& separator = call.text(0);
    if (separator.empty()) fail("empty separator");
    const size_t at =
        fromRight ? findLast(self.view(), separator.view()) : findFirst(self.view(), separator.view());
    std::vector<Value> out(3, call.in.string(Text()));
    if (at == std::string_view::npos) {
        out[fromRight ? 2 : 0] = call.self;
    } else {
        out[0] = call.in.string(self.slice(0, at));
        out[1] = call.in.string(self.slice(at, at + separator.size()));
        out[2] = call.in.string(self.slice(at + separator.size(), self.size()));
    }
    return call.in.heap().tuple(std::move(out));
}
Value partition(Call& call) {
    return partitionAt(call, false);
}
Value partitionRight(Call& call) {
    return partitionAt(call, true);
}

/// The part of self between the character indices in arguments 1 and 2, as byte offsets; nothing when it is
/// out of range.
struct Window {
    size_t from = 0, to = 0;
    bool valid = false;
};

Window windowOf(Call& call) {
    const std::string_view self = selfOf(call).view();
    const auto length = static_cast<int64_t>(countCharacters(self));
    const auto clip = [length](int64_t index) {
        return std::max<int64_t>(index < 0 ? index + length : index, 0);
    };
    const int64_t from = call.given(1) ? clip(call.integer(1, 0)) : 0;
    const int64_t to = std::min(call.given(2) ? clip(call.integer(2, 0)) : length, length);
    if (from > to) return {};
    return {byteOffset(self, static_cast<size_t>(from)), byteOffset(self, static_cast<size_t>(to)), true};
}

Value affix(Call& call, bool atEnd) {
    const Window window = windowOf(call);
    const std::string_view part = call.self.text().view().substr(window.from, window.to - window.from);
    const auto matches = [&](const Value& value) {
        if (!value.is(Kind::String))
            fail(std::string(call.name) + " first arg must be str or a tuple of str, not " +
                 std::string(typeName(value)));
        const std::string_view wanted = value.text().view();
        return window.valid && part.size() >= wanted.size() &&
               (atEnd ? part.substr(part.size() - wanted.size()) : part.substr(0, wanted.size())) == wanted;
    };
    if (!call.at(0).is(Kind::Tuple)) return Value(matches(call.at(0)));
    const auto& several = call.at(0).as<ListObject>().items;
    return Value(std::any_of(several.begin(), several.end(), matches));
}
Value startsWith(Call& call) {
    return affix(call, false);
}
Value endsWith(Call& call) {
    return affix(call, true);
}

int64_t found(Call& call, bool fromRight) {
    const Window window = windowOf(call);
    if (!window.valid) return -1;
    const std::string_view self = call.self.text().view();
    const std::string_view part = self.substr(window.from, window.to - window.from);
    const size_t at = fromRight ? findLast(part, call.text(0).view()) : findFirst(part, call.text(0).view());
    if (at == std::string_view::npos) return -1;
    return static_cast<int64_t>(countCharacters(self.substr(0, window.from + at)));
}
Value find(Call& call) {
    return Value(found(call, false));
}
Value findRight(Call& call) {
    return Value(found(call, true));
}

Value indexed(int64_t at) {
    if (at < 0) fail("substring not found");
    return Value(at);
}
Value index(Call& call) {
    return indexed(found(call, false));
}
Value indexRight(Call& call) {
    return indexed(found(call, true));
}

Value count(Call& call) {
    const Window window = windowOf(call);
    if (!window.valid) return Value(int64_t{0});
    const std::string_view part = call.self.text().view().substr(window.from, window.to - window.from);
    const std::string_view wanted = call.text(0).view();
    if (wanted.empty()) return Value(static_cast<int64_t>(countCharacters(part)) + 1);
    int64_t out = 0;
    for (size_t at = findFirst(part, wanted); at != std::string_view::npos;
         at = findFirst(part, wanted, at + wanted.size()))
        ++out;
    return Value(out);
}

Value replace(Call& call) {
    return call.in.string(
        replaced(selfOf(call), call.text(0).view(), call.text(1), call.integer(2, -1), call.in.meter()));
}

Value upperCase(Call& call) {
    return call.in.string(upper(selfOf(call)));
}
Value lowerCase(Call& call) {
    return call.in.string(lower(selfOf(call)));
}
Value swapped(Call& call) {
    return call.in.string(swapCase(selfOf(call)));
}
Value capitalize(Call& call) {
    return call.in.string(capitalized(selfOf(call)));
}
Value title(Call& call) {
    return call.in.string(titled(selfOf(call)));
}

Value pad(Call& call, Side side) {
    static const Text kBlank(" ", true);
    const Text& fill = call.has(1) ? call.text(1) : kBlank;
    if (countCharacters(fill.view()) != 1) fail("The fill character must be exactly one character long");
    return call.in.string(padded(selfOf(call), side, call.integer(0, 0), fill, call.in.meter()));
}
Value center(Call& call) {
    return pad(call, Side::Both);
}
Value justifyLeft(Call& call) {
    return pad(call, Side::Left);
}
Value justifyRight(Call& call) {
    return pad(call, Side::Right);
}

Value zeroFill(Call& call) {
    const Text& self = selfOf(call);
    const size_t sign = !self.empty() && (self.bytes()[0] == '-' || self.bytes()[0] == '+') ? 1 : 0;
    const Text digits = self.slice(sign, self.size());
    Text out = self.slice(0, sign);
    out.append(padded(digits, Side::Right, call.integer(0, 0) - static_cast<int64_t>(sign), Text("0", true),
                      call.in.meter()));
    return call.in.string(std::move(out));
}

Value removePrefix(Call& call) {
    const Text& self = selfOf(call);
    const std::string_view prefix = call.text(0).view();
    return self.view().substr(0, prefix.size()) == prefix
               ? call.in.string(self.slice(prefix.size(), self.size()))
               : call.self;
}

Value removeSuffix(Call& call) {
    const Text& self = selfOf(call);
    const std::string_view suffix = call.text(0).view();
    const bool ends =
        self.size() >= suffix.size() && self.view().substr(self.size() - suffix.size()) == suffix;
    return ends ? call.in.string(self.slice(0, self.size() - suffix.size())) : call.self;
}

Value join(Call& call) {
    const Text& separator = selfOf(call);
    Text out;
    bool first = true;
    int64_t at = 0;
    for (const Value& item : call.in.items(call.at(0))) {
        if (!item.is(Kind::String))
            fail("sequence item " + std::to_string(at) + ": expected str instance, " +
                 std::string(typeName(item)) + " found");
        const size_t before = out.size();
        if (!std::exchange(first, false)) out.append(separator);
        out.append(item.text());
        call.in.meter().grown(out.size(), out.size() - before);
        ++at;
    }
    return call.in.string(std::move(out));
}

Value expandTabs(Call& call) {
    const int64_t size = call.integer(0, 8);
    int64_t column = 0;
    size_t total = 0;
    return call.in.string(mapped(selfOf(call), [&](std::string& out, char32_t c) {
        if (c == '\t') {
            const int64_t blanks = size > 0 ? size - column % size : 0;
            total += static_cast<size_t>(blanks);
            call.in.meter().grown(total, static_cast<size_t>(blanks));
            out.append(static_cast<size_t>(blanks), ' ');
            column += blanks;
        } else {
            base::appendUtf8(out, c);
            column = c == '\n' || c == '\r' ? 0 : column + 1;
        }
    }));
}

Value format(Call& call) {
    return call.in.string(formatBraces(call.in, selfOf(call), call.args));
}

/// There is a character and all of them are such.
template <bool (*Is)(char32_t)> Value all(Call& call) {
    const std::string_view self = selfOf(call).view();
    for (size_t at = 0; at < self.size();)
        if (!Is(base::nextCodePoint(self, at))) return Value(false);
    return Value(!self.empty());
}

bool isAlphaNumeric(char32_t c) {
    return isAlpha(c) || isNumeric(c);
}

Value isAscii(Call& call) {
    const std::string_view self = selfOf(call).view();
    return Value(
        std::all_of(self.begin(), self.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; }));
}

Value isPrintableText(Call& call) {
    return Value(call.self.text().empty() || all<isPrintable>(call).boolean());
}

Value isIdentifier(Call& call) {
    const std::string_view self = selfOf(call).view();
    size_t at = 0;
    return Value(!self.empty() && !isNumeric(base::nextCodePoint(self, at)) && all<isWord>(call).boolean());
}

Value isLowerText(Call& call) {
    return Value(hasOneCase(selfOf(call).view(), isUpper));
}
Value isUpperText(Call& call) {
    return Value(hasOneCase(selfOf(call).view(), isLower));
}

Value isTitle(Call& call) {
    const std::string_view self = selfOf(call).view();
    bool cased = false, any = false;
    for (size_t at = 0; at < self.size();) {
        const char32_t c = base::nextCodePoint(self, at);
        if ((isUpper(c) && cased) || (isLower(c) && !cased)) return Value(false);
        cased = isCased(c);
        any = any || cased;
    }
    return Value(any);
}

constexpr FunctionRow kStringMethods[] = {
    {"strip", "?chars", stripBoth},
    {"lstrip", "?chars", stripLeft},
    {"rstrip", "?chars", stripRight},
    {"split", "?sep ?maxsplit", splitLeft},
    {"rsplit", "?sep ?maxsplit", splitRight},
    {"splitlines", "?keepends", splitLines},
    {"partition", "sep", partition},
    {"rpartition", "sep", partitionRight},
    {"startswith", "prefix ?start ?end", startsWith},
    {"endswith", "suffix ?start ?end", endsWith},
    {"find", "sub ?start ?end", find},
    {"rfind", "sub ?start ?end", findRight},
    {"index", "sub ?start ?end", index},
    {"rindex", "sub ?start ?end", indexRight},
    {"count", "sub ?start ?end", count},
    {"replace", "old new ?count", replace},
    {"upper", "", upperCase},
    {"lower", "", lowerCase},
    {"casefold", "", lowerCase},
    {"swapcase", "", swapped},
    {"capitalize", "", capitalize},
    {"title", "", title},
    {"center", "width ?fillchar", center},
    {"ljust", "width ?fillchar", justifyLeft},
    {"rjust", "width ?fillchar", justifyRight},
    {"zfill", "width", zeroFill},
    {"removeprefix", "prefix", removePrefix},
    {"removesuffix", "suffix", removeSuffix},
    {"join", "iterable", join},
    {"expandtabs", "?tabsize", expandTabs},
    {"format", "*", format},
    {"isalnum", "", all<isAlphaNumeric>},
    {"isalpha", "", all<isAlpha>},
    {"isascii", "", isAscii},
    {"isdecimal", "", all<isDecimal>},
    {"isdigit", "", all<isDecimal>},
    {"isidentifier", "", isIdentifier},
    {"islower", "", isLowerText},
    {"isnumeric", "", all<isNumeric>},
    {"isprintable", "", isPrintableText},
    {"isspace", "", all<isSpace>},
    {"istitle", "", isTitle},
    {"isupper", "", isUpperText},
};

}  // namespace

std::span<const FunctionRow> stringMethods() {
    return kStringMethods;
}

}  // namespace conclave::engine::text::jinja
