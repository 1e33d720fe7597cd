// Filters that make text of values.

#include <algorithm>
#include <array>
#include <cstdio>

#include "engine/base/utf8.h"
#include "engine/text/jinja/filters.h"
#include "engine/text/jinja/format.h"
#include "engine/text/jinja/interpreter.h"
#include "engine/text/jinja/json.h"
#include "engine/text/jinja/operators.h"
#include "engine/text/jinja/repr.h"
#include "engine/text/jinja/string.h"
#include "engine/text/jinja/unicode.h"

namespace conclave::engine::text::jinja {
namespace {

Value upperCase(Call& call) {
    return call.in.string(upper(call.in.text(call.self)));
}
Value lowerCase(Call& call) {
    return call.in.string(lower(call.in.text(call.self)));
}
Value capitalize(Call& call) {
    return call.in.string(capitalized(call.in.text(call.self)));
}
Value title(Call& call) {
    return call.in.string(titledByWords(call.in.text(call.self)));
}

Value toString(Call& call) {
    return call.self.is(Kind::String) ? call.self : call.in.string(call.in.text(call.self));
}

Value trim(Call& call) {
    const Text text = call.in.text(call.self);
    if (!call.given(0)) return call.in.string(stripped(text, Side::Both));
    const std::string_view chars = call.text(0).view();
    return call.in.string(stripped(text, Side::Both, &chars));
}

Value replace(Call& call) {
    const Text text = call.in.text(call.self), old = call.in.text(call.at(0)),
               with = call.in.text(call.at(1));
    const int64_t count = call.given(2) ? call.integer(2, -1) : -1;
    return call.in.string(replaced(text, old.view(), with, count, call.in.meter()));
}

Value center(Call& call) {
    return call.in.string(
        padded(call.in.text(call.self), Side::Both, call.integer(0, 80), Text(" ", true), call.in.meter()));
}

Value escape(Call& call) {
    return call.in.string(mapped(call.in.text(call.self), [](std::string& out, char32_t c) {
        switch (c) {
        case '&':
            out += "&amp;";
            break;
        case '<':
            out += "&lt;";
            break;
        case '>':
            out += "&gt;";
            break;
        case '\'':
            out += "&#39;";
            break;
        case '"':
            out += "&#34;";
            break;
        default:
            base::appendUtf8(out, c);
        }
    }));
}

Value indent(Call& call) {
    const Text& text = call.selfText();
    Text indention;
    if (call.has(0) && call.at(0).is(Kind::String))
        indention = call.text(0);
    else
        indention = repeat(call.in, Text(" ", true), call.integer(0, 4)).text();
    const bool first = call.flag(1, false), blank = call.flag(2, false);
    // A newline at the end stays: Jinja adds one before it cuts into lines.
    Text whole = text;
    whole.append("\n", true);
    std::vector<Text> parts = lines(whole, false);
    Text out;
    for (size_t i = 0; i < parts.size(); ++i) {
        const size_t before = out.size();
        if (i > 0) out.append("\n", true);
        if (i > 0 ? (blank || !parts[i].empty()) : first) out.append(indention);
        out.append(parts[i]);
        call.in.meter().grown(out.size(), out.size() - before);
    }
    return call.in.string(std::move(out));
}

Value truncate(Call& call) {
    const Text& text = call.selfText();
    const int64_t length = call.integer(0, 255);
    const Text end = call.has(2) ? call.text(2) : Text("...", true);
    const int64_t leeway = call.given(3) ? call.integer(3, 5) : 5;
    const auto endLength = static_cast<int64_t>(countCharacters(end.view()));
    if (length < endLength)
        fail("expected length >= " + std::to_string(endLength) + ", got " + std::to_string(length));
    if (leeway < 0) fail("expected leeway >= 0, got " + std::to_string(leeway));
    if (static_cast<int64_t>(countCharacters(text.view())) <= length + leeway) return call.self;
    size_t cut = byteOffset(text.view(), static_cast<size_t>(length - endLength));
    if (!call.flag(1, false))
        if (const size_t blank = text.view().substr(0, cut).rfind(' '); blank != std::string_view::npos)
            cut = blank;
    Text out = text.slice(0, cut);
    out.append(end);
    return call.in.string(std::move(out));
}

Value format(Call& call) {
    if (!call.args.positional.empty() && !call.args.keyword.empty())
        fail("can't handle positional and keyword arguments at the same time");
    const Text text = call.in.text(call.self);
    if (call.args.keyword.empty())
        return call.in.string(formatPercent(call.in, text, call.in.heap().tuple(call.args.positional)));
    auto* named = call.in.heap().make<DictObject>();
    for (const auto& [name, value] : call.args.keyword)
        named->set(Value(name), value);
    return call.in.string(formatPercent(call.in, text, Value(Kind::Dict, named)));
}

void appendQuoted(std::string& out, std::string_view text, std::string_view safe, bool plusForBlank) {
    static constexpr std::string_view kUnreserved = "_.-~";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        const bool letter = byte < 0x80 && (isAlpha(byte) || isDecimal(byte));
        if (letter || kUnreserved.find(c) != std::string_view::npos ||
            safe.find(c) != std::string_view::npos) {
            out.push_back(c);
        } else if (c == ' ' && plusForBlank) {
            out.push_back('+');
        } else {
            std::array<char, 4> buffer{};
            std::snprintf(buffer.data(), buffer.size(), "%%%02X", byte);
            out.append(buffer.data(), 3);
        }
    }
}

Value urlEncode(Call& call) {
    std::string out;
    if (call.self.is(Kind::String) || isNumber(call.self) || call.self.is(Kind::None)) {
        const Text text = call.in.text(call.self);
        appendQuoted(out, text.view(), "/", false);
        return call.in.string(std::move(out), text.trusted());
    }
    bool trusted = true;
    const Value pairs = call.self.is(Kind::Dict)
                            ? call.in.attribute(call.self, call.in.string("items", true).textRef())
                            : Value();
    Args none;
    for (const Value& pair : call.in.items(pairs.is(Kind::None) ? call.self : call.in.call(pairs, none))) {
        const std::vector<Value> both = call.in.items(pair);
        if (both.size() != 2) fail("urlencode needs pairs");
        const Text key = call.in.text(both[0]), value = call.in.text(both[1]);
        trusted = trusted && key.trusted() && value.trusted();
        if (!out.empty()) out.push_back('&');
        appendQuoted(out, key.view(), "", true);
        out.push_back('=');
        appendQuoted(out, value.view(), "", true);
        call.in.meter().grown(out.size(), key.size() + value.size());
    }
    return call.in.string(std::move(out), trusted);
}

Value stripTags(Call& call) {
    const Text text = call.in.text(call.self);
    const std::string_view view = text.view();
    std::string kept;
    bool tagsEnd = true,
         commentsEnd = true;  // false: there is no further end, it need not be looked for again
    for (size_t at = 0; at < view.size();) {
        const bool comment = view.substr(at, 4) == "<!--";
        bool& mayEnd = comment ? commentsEnd : tagsEnd;
        const std::string_view mark = comment ? "-->" : ">";
        const size_t end = view[at] == '<' && mayEnd ? view.find(mark, at) : std::string_view::npos;
        if (end != std::string_view::npos) {
            at = end + mark.size();
            continue;
        }
        if (view[at] == '<') mayEnd = false;
        kept.push_back(view[at++]);
    }
    Text out;
    for (const Text& word : splitAtSpace(Text(std::move(kept), text.trusted()), -1, false)) {
        if (!out.empty()) out.append(" ", text.trusted());
        out.append(word);
    }
    return call.in.string(std::move(out));
}

Value wordCount(Call& call) {
    const Text text = call.in.text(call.self);
    int64_t count = 0;
    bool inWord = false;
    for (size_t at = 0; at < text.size();) {
        const bool word = isWord(base::nextCodePoint(text.view(), at));
        count += word && !inWord;
        inWord = word;
    }
    return Value(count);
}

/// As Hugging Face defines it: json.dumps with non-ASCII characters as they are, no HTML escaping.
Value jsonOf(Call& call) {
    JsonStyle style;
    style.ensureAscii = call.flag(0, false);
    style.indented = call.given(1);
    if (style.indented) {
        style.itemSeparator = ",";
        style.indent = call.at(1).is(Kind::String)
                           ? call.text(1).bytes()
                           : repeat(call.in, Text(" ", true), call.integer(1, 0)).text().bytes();
    }
    bool trusted = true;
    if (call.given(2)) {
        const std::vector<Value> both = call.in.items(call.at(2));
        if (both.size() != 2 || !both[0].is(Kind::String) || !both[1].is(Kind::String))
            fail("tojson() separators must be two strings");
        style.itemSeparator = both[0].text().bytes();
        style.keySeparator = both[1].text().bytes();
        trusted = both[0].text().trusted() && both[1].text().trusted();
    }
    style.sortKeys = call.flag(3, false);
    Text out = toJson(call.self, style, call.in.meter());
    return call.in.string(trusted ? std::move(out) : Text(out.bytes(), false));
}

/// Not of Jinja, but templates of DeepSeek use it: the value of a JSON text.
Value fromJsonText(Call& call) {
    const Text& text = call.selfText();
    const uint32_t most = call.in.meter().budget().depth;
    const auto shallow = [most](int depth, nlohmann::ordered_json::parse_event_t, const auto&) {
        if (depth > static_cast<int>(most))
            failBudget("from_json() got a text that is too deeply nested (more than " + std::to_string(most) +
                       " levels)");
        return true;
    };
    const auto json = nlohmann::ordered_json::parse(text.view(), shallow, false);
    if (json.is_discarded()) fail("from_json() needs valid JSON");
    return fromJson(json, text.trusted(), call.in.heap());
}

constexpr FunctionRow kFilters[] = {
    {"upper", "", upperCase},
    {"lower", "", lowerCase},
    {"capitalize", "", capitalize},
    {"title", "", title},
    {"string", "", toString},
    {"safe", "", toString},
    {"trim", "?chars", trim},
    {"replace", "old new ?count", replace},
    {"center", "?width", center},
    {"escape", "", escape},
    {"e", "", escape},
    {"forceescape", "", escape},
    {"indent", "?width ?first ?blank", indent},
    {"truncate", "?length ?killwords ?end ?leeway", truncate},
    {"format", "*", format},
    {"urlencode", "", urlEncode},
    {"striptags", "", stripTags},
    {"wordcount", "", wordCount},
    {"tojson", "?ensure_ascii ?indent ?separators ?sort_keys", jsonOf},
    {"from_json", "", fromJsonText},
};

}  // namespace

std::span<const FunctionRow> textFilters() {
    return kFilters;
}

}  // namespace conclave::engine::text::jinja
