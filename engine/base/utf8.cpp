#include "engine/base/utf8.h"

namespace conclave::engine::base {
namespace {

struct Scan {
    size_t length;  // bytes looked at that belong together
    bool valid;     // a whole character
    bool open;      // a good beginning that the text cut off
};

/// The character or maximal ill-formed part that begins at text[at].
Scan scan(std::string_view text, size_t at) {
    const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char lead = byte(at);
    if (lead < 0x80) return {1, true, false};
    size_t length = 0;
    unsigned char low = 0x80, high = 0xBF;  // bounds of the second byte
    if (lead >= 0xC2 && lead <= 0xDF) {
        length = 2;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
        length = 3;
        if (lead == 0xE0) low = 0xA0;
        if (lead == 0xED) high = 0x9F;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
        length = 4;
        if (lead == 0xF0) low = 0x90;
        if (lead == 0xF4) high = 0x8F;
    } else {
        return {1, false, false};
    }
    for (size_t i = 1; i < length; ++i) {
        if (at + i >= text.size()) return {i, false, true};
        const unsigned char next = byte(at + i);
        if (next < low || next > high) return {i, false, false};
        low = 0x80;
        high = 0xBF;
    }
    return {length, true, false};
}

}  // namespace

size_t validUtf8Prefix(std::string_view text) {
    size_t at = 0;
    while (at < text.size()) {
        const Scan s = scan(text, at);
        if (!s.valid) return at;
        at += s.length;
    }
    return at;
}

size_t completeUtf8Prefix(std::string_view text) {
    // Only the last three bytes can belong to an unfinished character.
    const size_t from = text.size() > 3 ? text.size() - 3 : 0;
    for (size_t at = from; at < text.size(); ++at) {
        const auto lead = static_cast<unsigned char>(text[at]);
        if (lead < 0xC0) continue;
        const Scan s = scan(text, at);
        if (s.open) return at;
    }
    return text.size();
}

std::string replaceInvalidUtf8(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (size_t at = 0; at < text.size();) {
        const Scan s = scan(text, at);
        if (s.valid)
            out.append(text.substr(at, s.length));
        else
            out.append("\xEF\xBF\xBD");
        at += s.length;
    }
    return out;
}

char32_t nextCodePoint(std::string_view text, size_t& at) {
    const auto byte = [&](size_t i) { return static_cast<char32_t>(static_cast<unsigned char>(text[i])); };
    const char32_t lead = byte(at);
    if (lead < 0x80) {
        at += 1;
        return lead;
    }
    if (lead < 0xE0) {
        const char32_t c = ((lead & 0x1F) << 6) | (byte(at + 1) & 0x3F);
        at += 2;
        return c;
    }
    if (lead < 0xF0) {
        const char32_t c = ((lead & 0x0F) << 12) | ((byte(at + 1) & 0x3F) << 6) | (byte(at + 2) & 0x3F);
        at += 3;
        return c;
    }
    const char32_t c = ((lead & 0x07) << 18) | ((byte(at + 1) & 0x3F) << 12) | ((byte(at + 2) & 0x3F) << 6) |
                       (byte(at + 3) & 0x3F);
    at += 4;
    return c;
}

void appendUtf8(std::string& out, char32_t c) {
    const auto push = [&](char32_t v) { out.push_back(static_cast<char>(static_cast<unsigned char>(v))); };
    if (c < 0x80) {
        push(c);
    } else if (c < 0x800) {
        push(0xC0 | (c >> 6));
        push(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        push(0xE0 | (c >> 12));
        push(0x80 | ((c >> 6) & 0x3F));
        push(0x80 | (c & 0x3F));
    } else {
        push(0xF0 | (c >> 18));
        push(0x80 | ((c >> 12) & 0x3F));
        push(0x80 | ((c >> 6) & 0x3F));
        push(0x80 | (c & 0x3F));
    }
}

}  // namespace conclave::engine::base
