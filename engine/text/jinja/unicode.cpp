#include "engine/text/jinja/unicode.h"

#include <utf8proc.h>

#include "engine/base/utf8.h"

namespace conclave::engine::text::jinja {
namespace {

utf8proc_category_t category(char32_t c) {
    return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

void append(std::string& out, utf8proc_int32_t c) {
    base::appendUtf8(out, static_cast<char32_t>(c));
}

constexpr char32_t kSharpS = 0xDF;  // the one common letter whose capital is two letters

}  // namespace

bool isSpace(char32_t c) {
    if (c < 0x80) return c == ' ' || (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x1F);
    return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
           c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool isLineBreak(char32_t c) {
    return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

bool isPrintable(char32_t c) {
    if (c < 0x7F) return c >= 0x20;
    switch (category(c)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
        return false;
    default:
        return true;
    }
}

bool isAlpha(char32_t c) {
    if (c < 0x80) return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
    const utf8proc_category_t is = category(c);
    return is >= UTF8PROC_CATEGORY_LU && is <= UTF8PROC_CATEGORY_LO;
}

bool isDecimal(char32_t c) {
    return c < 0x80 ? c >= '0' && c <= '9' : category(c) == UTF8PROC_CATEGORY_ND;
}

bool isNumeric(char32_t c) {
    if (c < 0x80) return c >= '0' && c <= '9';
    const utf8proc_category_t is = category(c);
    return is >= UTF8PROC_CATEGORY_ND && is <= UTF8PROC_CATEGORY_NO;
}

bool isWord(char32_t c) {
    return c == '_' || isAlpha(c) || isNumeric(c);
}

bool isUpper(char32_t c) {
    if (c < 0x80) return c >= 'A' && c <= 'Z';
    return utf8proc_isupper(static_cast<utf8proc_int32_t>(c)) != 0;
}

bool isLower(char32_t c) {
    if (c < 0x80) return c >= 'a' && c <= 'z';
    return utf8proc_islower(static_cast<utf8proc_int32_t>(c)) != 0;
}

void appendUpper(std::string& out, char32_t c) {
    if (c == kSharpS)
        out.append("SS");
    else
        append(out, utf8proc_toupper(static_cast<utf8proc_int32_t>(c)));
}

void appendLower(std::string& out, char32_t c) {
    append(out, utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
}

void appendTitle(std::string& out, char32_t c) {
    if (c == kSharpS)
        out.append("Ss");
    else
        append(out, utf8proc_totitle(static_cast<utf8proc_int32_t>(c)));
}

bool hasOneCase(std::string_view text, bool (*other)(char32_t)) {
    bool any = false;
    for (size_t at = 0; at < text.size();) {
        const char32_t c = base::nextCodePoint(text, at);
        if (other(c)) return false;
        any = any || isCased(c);
    }
    return any;
}

size_t countCharacters(std::string_view text) {
    size_t count = 0;
    for (const char c : text)
        count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    return count;
}

size_t byteOffset(std::string_view text, size_t index) {
    for (size_t at = 0; at < text.size(); ++at) {
        if ((static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) continue;
        if (index == 0) return at;
        --index;
    }
    return text.size();
}

char32_t previousCharacter(std::string_view text, size_t& end) {
    do
        --end;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80);
    size_t at = end;
    return base::nextCodePoint(text, at);
}

size_t skipSpaceLeft(std::string_view text, size_t from) {
    while (from < text.size()) {
        size_t next = from;
        if (!isSpace(base::nextCodePoint(text, next))) break;
        from = next;
    }
    return from;
}

size_t skipSpaceRight(std::string_view text) {
    size_t end = text.size();
    while (end > 0) {
        size_t begin = end;
        if (!isSpace(previousCharacter(text, begin))) break;
        end = begin;
    }
    return end;
}

}  // namespace conclave::engine::text::jinja
