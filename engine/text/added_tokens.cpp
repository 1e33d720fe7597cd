#include "engine/text/added_tokens.h"

#include <algorithm>

#include "engine/base/utf8.h"
#include "engine/text/unicode_class.h"

namespace conclave::engine::text {
namespace {

const UnicodeClass& wordClass() {
    static const UnicodeClass made = [] {
        UnicodeClass set;
        set.addWord();
        return set;
    }();
    return made;
}

const UnicodeClass& spaceClass() {
    static const UnicodeClass made = [] {
        UnicodeClass set;
        set.addWhiteSpace();
        return set;
    }();
    return made;
}

size_t previousCharacter(std::string_view text, size_t at) {
    do
        --at;
    while ((static_cast<unsigned char>(text[at]) & 0xC0) == 0x80);
    return at;
}

bool characterBeforeIs(const UnicodeClass& set, std::string_view text, size_t at) {
    if (at == 0) return false;
    size_t from = previousCharacter(text, at);
    return set.contains(base::nextCodePoint(text, from));
}

bool characterAtIs(const UnicodeClass& set, std::string_view text, size_t at) {
    return at < text.size() && set.contains(base::nextCodePoint(text, at));
}

}  // namespace

AddedTokens::AddedTokens(std::vector<formats::AddedToken> tokens) : tokens_(std::move(tokens)) {
    std::sort(tokens_.begin(), tokens_.end(),
              [](const auto& a, const auto& b) { return a.content < b.content; });
    for (uint32_t i = 0; i < tokens_.size(); ++i) {
        auto& [from, to] = byFirst_[static_cast<unsigned char>(tokens_[i].content.front())];
        if (from == to) from = i;
        to = i + 1;
    }
}

/// Narrows the sorted list byte by byte, as a walk down a trie would.
const formats::AddedToken* AddedTokens::longestAt(std::string_view text, size_t at,
                                                  size_t trustedUntil) const {
    const auto [from, to] = byFirst_[static_cast<unsigned char>(text[at])];
    const formats::AddedToken* best = nullptr;
    auto low = tokens_.begin() + from, high = tokens_.begin() + to;
    for (size_t depth = 1; low != high; ++depth) {
        // The shortest of what is left comes first.
        if (low->content.size() == depth) {
            if (!low->special || at + depth <= trustedUntil) best = &*low;
            ++low;
        }
        if (at + depth >= text.size()) break;
        const char next = text[at + depth];
        const auto byteOf = [depth](const formats::AddedToken& token) {
            return static_cast<unsigned char>(token.content[depth]);
        };
        low = std::lower_bound(low, high, static_cast<unsigned char>(next),
                               [&](const auto& token, unsigned char c) { return byteOf(token) < c; });
        high = std::upper_bound(low, high, static_cast<unsigned char>(next),
                                [&](unsigned char c, const auto& token) { return c < byteOf(token); });
    }
    return best;
}

std::vector<AddedTokens::Part> AddedTokens::split(std::string_view text, const Ranges& trusted) const {
    std::vector<Part> parts;
    size_t done = 0;  // up to here the text is in parts
    auto range = trusted.begin();
    for (size_t at = 0; at < text.size();) {
        const auto [from, to] = byFirst_[static_cast<unsigned char>(text[at])];
        if (from == to) {
            ++at;
            continue;
        }
        while (range != trusted.end() && range->second <= at)
            ++range;
        const size_t trustedUntil = range != trusted.end() && range->first <= at ? range->second : 0;
        const formats::AddedToken* token = longestAt(text, at, trustedUntil);
        if (!token) {
            ++at;
            continue;
        }
        size_t begin = at, end = at + token->content.size();
        at = end;
        if (token->singleWord &&
            (characterBeforeIs(wordClass(), text, begin) || characterAtIs(wordClass(), text, end)))
            continue;
        if (token->leftStrip)
            while (begin > done && characterBeforeIs(spaceClass(), text, begin))
                begin = previousCharacter(text, begin);
        if (token->rightStrip)
            while (characterAtIs(spaceClass(), text, end))
                base::nextCodePoint(text, end);
        if (begin > done) parts.push_back({done, begin, std::nullopt});
        parts.push_back({begin, end, token->id});
        at = done = end;
    }
    if (done < text.size()) parts.push_back({done, text.size(), std::nullopt});
    return parts;
}

}  // namespace conclave::engine::text
