#include "engine/text/jinja/string.h"

#include <algorithm>
#include <cstring>

#include "engine/base/utf8.h"
#include "engine/text/jinja/unicode.h"

namespace conclave::engine::text::jinja {
namespace {

bool strips(char32_t c, const std::string_view* chars) {
    if (!chars) return isSpace(c);
    for (size_t at = 0; at < chars->size();)
        if (base::nextCodePoint(*chars, at) == c) return true;
    return false;
}

struct Range {
    size_t from, to;
};

std::vector<Text> cut(const Text& text, const std::vector<Range>& ranges) {
    std::vector<Text> out;
    out.reserve(ranges.size());
    for (const Range& range : ranges)
        out.push_back(text.slice(range.from, range.to));
    return out;
}

std::vector<Range> splitForward(std::string_view text, std::string_view separator, int64_t most) {
    std::vector<Range> out;
    size_t from = 0;
    while (most != 0) {
        const size_t at = findFirst(text, separator, from);
        if (at == std::string_view::npos) break;
        out.push_back({from, at});
        from = at + separator.size();
        --most;
    }
    out.push_back({from, text.size()});
    return out;
}

std::string backwards(std::string_view text) {
    return {text.rbegin(), text.rend()};
}

std::vector<Range> splitBackward(std::string_view text, std::string_view separator, int64_t most) {
    std::vector<Range> out = splitForward(backwards(text), backwards(separator), most);
    std::reverse(out.begin(), out.end());
    for (Range& range : out)
        range = {text.size() - range.to, text.size() - range.from};
    return out;
}

std::vector<Range> wordsForward(std::string_view text, int64_t most) {
    std::vector<Range> out;
    size_t at = skipSpaceLeft(text);
    while (at < text.size()) {
        if (most == 0) {
            out.push_back({at, text.size()});
            break;
        }
        size_t end = at;
        while (end < text.size()) {
            size_t next = end;
            if (isSpace(base::nextCodePoint(text, next))) break;
            end = next;
        }
        out.push_back({at, end});
        at = skipSpaceLeft(text, end);
        --most;
    }
    return out;
}

std::vector<Range> wordsBackward(std::string_view text, int64_t most) {
    std::vector<Range> out;
    size_t to = skipSpaceRight(text);
    while (to > 0) {
        if (most == 0) {
            out.push_back({0, to});
            break;
        }
        size_t from = to;
        while (from > 0) {
            size_t begin = from;
            if (isSpace(previousCharacter(text, begin))) break;
            from = begin;
        }
        out.push_back({from, to});
        to = skipSpaceRight(text.substr(0, from));
        --most;
    }
    std::reverse(out.begin(), out.end());
    return out;
}

}  // namespace

size_t findFirst(std::string_view text, std::string_view wanted, size_t from) {
    if (from > text.size()) return std::string_view::npos;
    // Two-way search where the wanted text is long; string_view::find is quadratic at its worst.
    const void* at = ::memmem(text.data() + from, text.size() - from, wanted.data(), wanted.size());
    return at ? static_cast<size_t>(static_cast<const char*>(at) - text.data()) : std::string_view::npos;
}

size_t findLast(std::string_view text, std::string_view wanted) {
    const size_t at = findFirst(backwards(text), backwards(wanted));
    return at == std::string_view::npos ? at : text.size() - at - wanted.size();
}

Text stripped(const Text& text, Side side, const std::string_view* chars) {
    const std::string_view view = text.view();
    size_t from = 0, to = view.size();
    while (side != Side::Right && from < to) {
        size_t next = from;
        if (!strips(base::nextCodePoint(view, next), chars)) break;
        from = next;
    }
    while (side != Side::Left && to > from) {
        size_t begin = to;
        if (!strips(previousCharacter(view, begin), chars)) break;
        to = begin;
    }
    return text.slice(from, to);
}

Text replaced(const Text& text, std::string_view old, const Text& with, int64_t count, Meter& meter) {
    Text out;
    const std::string_view view = text.view();
    size_t from = 0;
    const auto put = [&](size_t to) {
        out.append(text, from, to);
        out.append(with);
        meter.grown(out.size(), to - from + with.size());
        from = to;
    };
    if (old.empty()) {
        // Between all characters, and at both ends.
        for (size_t at = 0; count != 0; --count) {
            put(at);
            if (at == view.size()) break;
            base::nextCodePoint(view, at);
        }
    } else {
        for (size_t at = findFirst(view, old); at != std::string_view::npos && count != 0;
             at = findFirst(view, old, from)) {
            put(at);
            from = at + old.size();
            --count;
        }
    }
    out.append(text, from, view.size());
    return out;
}

Text mapped(const Text& text, const std::function<void(std::string&, char32_t)>& map) {
    Text out;
    text.eachRun([&](std::string_view run, bool trusted) {
        std::string part;
        part.reserve(run.size());
        for (size_t at = 0; at < run.size();)
            map(part, base::nextCodePoint(run, at));
        out.append(part, trusted);
    });
    return out;
}

Text upper(const Text& text) {
    return mapped(text, appendUpper);
}
Text lower(const Text& text) {
    return mapped(text, appendLower);
}

Text swapCase(const Text& text) {
    return mapped(text, [](std::string& out, char32_t c) {
        if (isUpper(c))
            appendLower(out, c);
        else
            appendUpper(out, c);
    });
}

Text capitalized(const Text& text) {
    bool first = true;
    return mapped(text, [&first](std::string& out, char32_t c) {
        if (first)
            appendTitle(out, c);
        else
            appendLower(out, c);
        first = false;
    });
}

Text titled(const Text& text) {
    bool inWord = false;
    return mapped(text, [&inWord](std::string& out, char32_t c) {
        if (inWord)
            appendLower(out, c);
        else
            appendTitle(out, c);
        inWord = isCased(c);
    });
}

Text titledByWords(const Text& text) {
    bool atStart = true;
    return mapped(text, [&atStart](std::string& out, char32_t c) {
        const bool breaks = isSpace(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
        if (atStart)
            appendUpper(out, c);
        else
            appendLower(out, c);
        atStart = breaks;
    });
}

Text padded(const Text& text, Side side, int64_t width, const Text& fill, Meter& meter) {
    const auto length = static_cast<int64_t>(countCharacters(text.view()));
    const int64_t missing = std::max<int64_t>(width - length, 0);
    // As CPython's str.center rounds.
    int64_t left = side == Side::Left    ? 0
                   : side == Side::Right ? missing
                                         : missing / 2 + (missing & width & 1);
    int64_t right = missing - left;
    meter.text(static_cast<size_t>(missing) * fill.size() + text.size());
    Text out;
    for (; left > 0; --left)
        out.append(fill);
    out.append(text);
    for (; right > 0; --right)
        out.append(fill);
    return out;
}

std::vector<Text> split(const Text& text, std::string_view separator, int64_t most, bool fromRight) {
    return cut(text, fromRight ? splitBackward(text.view(), separator, most)
                               : splitForward(text.view(), separator, most));
}

std::vector<Text> splitAtSpace(const Text& text, int64_t most, bool fromRight) {
    return cut(text, fromRight ? wordsBackward(text.view(), most) : wordsForward(text.view(), most));
}

std::vector<Text> lines(const Text& text, bool keepEnds) {
    const std::string_view view = text.view();
    std::vector<Range> out;
    size_t from = 0;
    for (size_t at = 0; at < view.size();) {
        const size_t end = at;
        const char32_t c = base::nextCodePoint(view, at);
        if (!isLineBreak(c)) continue;
        if (c == '\r' && at < view.size() && view[at] == '\n') ++at;
        out.push_back({from, keepEnds ? at : end});
        from = at;
    }
    if (from < view.size()) out.push_back({from, view.size()});
    return cut(text, out);
}

}  // namespace conclave::engine::text::jinja
