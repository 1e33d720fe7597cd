#include "engine/formats/tokenizer_spec.h"

#include <algorithm>
#include <array>

#include "engine/base/utf8.h"
#include "engine/formats/text_index.h"

namespace conclave::engine::formats {
namespace {

using base::Code;
using base::Error;
using base::TokenId;

// Longest token of a real vocabulary: a few hundred bytes (runs of spaces, names of placeholders).
constexpr size_t kTokenBytes = 65536;
constexpr size_t kAddedBytes = 1024;

/// Token text as a message shows it.
std::string quoted(std::string_view text) {
    constexpr size_t kShown = 40;
    if (text.size() <= kShown) return "\"" + std::string(text) + "\"";
    return "\"" + std::string(text.substr(0, base::completeUtf8Prefix(text.substr(0, kShown)))) + "…\"";
}

std::string entry(const std::string& field, size_t index) {
    return field + "[" + std::to_string(index) + "]";
}

TokenId idOf(uint32_t at) {
    return TokenId{static_cast<int32_t>(at)};
}

base::Result<TextIndex> indexTokens(const TokenizerSpec& spec, const TokenizerFields& field) {
    if (spec.tokens.empty())
        return Error{Code::BadTokenizer, spec.file, field.tokens, {"the vocabulary has no tokens"}};
    CONCLAVE_CHECK(spec.kinds.size() == spec.tokens.size());
    TextIndex ids(spec.tokens.size());
    for (uint32_t i = 0; i < spec.tokens.size(); ++i) {
        const std::string_view text = spec.tokens[i];
        const size_t valid = base::validUtf8Prefix(text);
        if (valid != text.size())
            return Error{Code::InvalidUtf8, spec.file, entry(field.tokens, i), {std::to_string(valid)}};
        if (text.size() > kTokenBytes)
            return Error{Code::LimitExceeded,
                         spec.file,
                         entry(field.tokens, i),
                         {std::to_string(text.size()) + " bytes", std::to_string(kTokenBytes)}};
        if (spec.kinds[i] == TokenKind::Byte && !byteOfToken(text))
            return Error{Code::BadTokenizer,
                         spec.file,
                         entry(field.tokens, i),
                         {quoted(text) + " is marked as a byte but is not of the form <0x00> to <0xFF>"}};
        if (!text.empty() && !ids.add(spec.tokens, i))
            return Error{Code::DuplicateName, spec.file, entry(field.tokens, i) + " " + quoted(text), {}};
    }
    return ids;
}

/// True where `text` is `left` and `right` one after the other.
bool isJoined(std::string_view text, std::string_view left, std::string_view right) {
    return text.size() == left.size() + right.size() && text.starts_with(left) && text.ends_with(right);
}

base::Result<void> resolveMerges(TokenizerSpec& spec, const TextIndex& ids, const MergeTexts& merges,
                                 const TokenizerFields& field) {
    spec.merges.clear();
    spec.merges.reserve(merges.count);
    std::string whole;
    uint32_t next = 0;
    for (size_t i = 0; i < merges.count; ++i) {
        const auto [leftText, rightText] = merges.at(i);
        const uint32_t left = ids.find(spec.tokens, leftText), right = ids.find(spec.tokens, rightText);
        // Most files list merges in the order of the tokens that they make: no search, where that holds.
        uint32_t joined = next;
        if (joined >= spec.tokens.size() || !isJoined(spec.tokens[joined], leftText, rightText)) {
            whole.assign(leftText).append(rightText);
            joined = ids.find(spec.tokens, whole);
        }
        if (left == TextIndex::kNone || right == TextIndex::kNone || joined == TextIndex::kNone) {
            const std::string_view lacking = left == TextIndex::kNone    ? leftText
                                             : right == TextIndex::kNone ? rightText
                                                                         : std::string_view(whole);
            return Error{Code::BadTokenizer,
                         spec.file,
                         entry(field.merges, i),
                         {"needs token " + quoted(lacking) + ", which the vocabulary lacks"}};
        }
        spec.merges.push_back({.left = idOf(left), .right = idOf(right), .joined = idOf(joined)});
        next = joined + 1;
    }
    return {};
}

/// A token that a user's text may become.
bool isPlain(const TokenizerSpec& spec, size_t id) {
    const TokenKind kind = spec.kinds[id];
    return kind != TokenKind::Control && kind != TokenKind::Unknown;
}

/// Every byte that can be part of valid UTF-8 must lead to some token, or a user's text would lose
/// characters.
base::Result<void> checkBytes(const TokenizerSpec& spec, const TextIndex& ids, const TokenizerFields& field) {
    if (spec.unknown) return {};
    if (spec.model != TokenizerModel::ByteLevelBpe) {
        std::array<bool, 256> known{};
        for (size_t id = 0; id < spec.tokens.size(); ++id)
            if (const auto byte = byteOfToken(spec.tokens[id]); byte && isPlain(spec, id))
                known[*byte] = true;
        if (!spec.byteFallback || !std::all_of(known.begin(), known.end(), [](bool k) { return k; }))
            return Error{Code::BadTokenizer,
                         spec.file,
                         field.tokens,
                         {"neither an unknown token nor all the byte tokens <0x00> to <0xFF> are there"}};
        return {};
    }
    for (unsigned b = 0; b <= 0xF4; ++b) {
        if (b == 0xC0 || b == 0xC1) continue;  // never part of UTF-8
        std::string text;
        base::appendUtf8(text, byteToAlphabet(static_cast<unsigned char>(b)));
        const uint32_t id = ids.find(spec.tokens, text);
        if (id != TextIndex::kNone && isPlain(spec, id)) continue;
        return Error{Code::BadTokenizer,
                     spec.file,
                     field.tokens,
                     {"the token of byte " + std::to_string(b) +
                      (id == TextIndex::kNone ? " is missing" : " is a control token") +
                      " and there is no unknown token"}};
    }
    return {};
}

base::Result<void> checkAdded(const TokenizerSpec& spec, const TokenizerFields& field) {
    TextList texts;
    TextIndex seen(spec.added.size());
    for (size_t i = 0; i < spec.added.size(); ++i) {
        const AddedToken& token = spec.added[i];
        const auto id = base::toInt(token.id);
        if (id < 0 || static_cast<size_t>(id) >= spec.tokens.size())
            return Error{Code::BadTokenizer,
                         spec.file,
                         entry(field.added, i),
                         {"id " + std::to_string(id) + " is outside the vocabulary of " +
                          std::to_string(spec.tokens.size()) + " tokens"}};
        if (token.content.empty())
            return Error{Code::BadTokenizer, spec.file, entry(field.added, i), {"its text is empty"}};
        if (token.content.size() > kAddedBytes)
            return Error{Code::LimitExceeded,
                         spec.file,
                         entry(field.added, i),
                         {std::to_string(token.content.size()) + " bytes", std::to_string(kAddedBytes)}};
        texts.push_back(token.content);
        if (!seen.add(texts, static_cast<uint32_t>(i)))
            return Error{
                Code::DuplicateName, spec.file, entry(field.added, i) + " " + quoted(token.content), {}};
    }
    return {};
}

/// Beginning and end of text never come from a user's words, whatever kind the file gives them.
void makeControl(TokenizerSpec& spec, TokenId id) {
    const auto index = static_cast<size_t>(base::toInt(id));
    if (spec.tokens[index].empty()) return;
    if (spec.kinds[index] != TokenKind::Unknown) spec.kinds[index] = TokenKind::Control;
    for (AddedToken& token : spec.added)
        if (token.id == id) {
            token.special = true;
            return;
        }
    spec.added.push_back({.id = id, .content = std::string(spec.tokens[index]), .special = true});
}

// The texts that models give to their fill-in-the-middle tokens (StarCoder, Qwen2.5-Coder, Refact,
// DeepSeek-Coder, CodeLlama, CodeGemma): prefix, suffix, middle.
constexpr std::array<std::array<std::string_view, 3>, 6> kFimTexts{{
    {"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"},
    {"<fim_prefix>", "<fim_suffix>", "<fim_middle>"},
    {"<fim-prefix>", "<fim-suffix>", "<fim-middle>"},
    {"<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"},
    {"▁<PRE>", "▁<SUF>", "▁<MID>"},
    {"<PRE>", "<SUF>", "<MID>"},
}};

void findFimTokens(TokenizerSpec& spec, const TextIndex& ids) {
    if (spec.fimPrefix || spec.fimSuffix || spec.fimMiddle) return;
    for (const auto& [prefix, suffix, middle] : kFimTexts) {
        const uint32_t p = ids.find(spec.tokens, prefix), s = ids.find(spec.tokens, suffix),
                       m = ids.find(spec.tokens, middle);
        if (p == TextIndex::kNone || s == TextIndex::kNone || m == TextIndex::kNone) continue;
        spec.fimPrefix = idOf(p);
        spec.fimSuffix = idOf(s);
        spec.fimMiddle = idOf(m);
        return;
    }
}

constexpr bool isPrintableByte(unsigned b) {
    return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
}

struct Alphabet {
    std::array<char32_t, 256> ofByte{};
    std::array<int16_t, 0x144> toByte{};  // by code point, -1 for none
    constexpr Alphabet() {
        toByte.fill(-1);
        char32_t next = 256;
        for (unsigned b = 0; b < 256; ++b) {
            ofByte[b] = isPrintableByte(b) ? static_cast<char32_t>(b) : next++;
            toByte[ofByte[b]] = static_cast<int16_t>(b);
        }
    }
};

constexpr Alphabet kAlphabet;

}  // namespace

char32_t byteToAlphabet(unsigned char byte) {
    return kAlphabet.ofByte[byte];
}

std::optional<unsigned char> alphabetToByte(char32_t codePoint) {
    const auto& table = kAlphabet.toByte;
    if (codePoint >= table.size() || table[codePoint] < 0) return std::nullopt;
    return static_cast<unsigned char>(table[codePoint]);
}

bool appendAlphabetBytes(std::string_view token, std::string& out) {
    const size_t before = out.size();
    out.resize(before + token.size());
    char* to = out.data() + before;
    for (size_t at = 0; at < token.size(); ++at) {
        char32_t c = static_cast<unsigned char>(token[at]);
        // The whole alphabet lies in one and two bytes of UTF-8, and a longer form begins with more than
        // those.
        if (c >= 0xC0 && at + 1 < token.size())
            c = (c & 0x3F) << 6 | (static_cast<unsigned char>(token[++at]) & 0x3F);
        const int16_t byte = c < kAlphabet.toByte.size() ? kAlphabet.toByte[c] : int16_t{-1};
        if (byte < 0) {
            out.resize(before);
            return false;
        }
        *to++ = static_cast<char>(byte);
    }
    out.resize(static_cast<size_t>(to - out.data()));
    return true;
}

std::optional<unsigned char> byteOfToken(std::string_view token) {
    if (token.size() != 6 || token.substr(0, 3) != "<0x" || token[5] != '>') return std::nullopt;
    unsigned value = 0;
    for (const char c : token.substr(3, 2)) {
        const char lower = static_cast<char>(c | 0x20);
        if (c >= '0' && c <= '9')
            value = value * 16 + static_cast<unsigned>(c - '0');
        else if (lower >= 'a' && lower <= 'f')
            value = value * 16 + static_cast<unsigned>(lower - 'a' + 10);
        else
            return std::nullopt;
    }
    return static_cast<unsigned char>(value);
}

base::Result<void> checkTokenizer(TokenizerSpec& spec, const MergeTexts& merges,
                                  const TokenizerFields& field) {
    CONCLAVE_TRY(const TextIndex ids, indexTokens(spec, field));
    std::vector<TokenId> named = spec.endTokens;
    for (const auto& id : {spec.bos, spec.eos})
        if (id) named.push_back(*id);
    for (const TokenId id : named) {
        // GPT-2 names one token for all three; a character nobody knows must not end the text.
        if (spec.unknown == id) {
            spec.unknown.reset();
            spec.kinds[static_cast<size_t>(base::toInt(id))] = TokenKind::Control;
        }
        makeControl(spec, id);
    }
    CONCLAVE_TRY_VOID(checkAdded(spec, field));
    CONCLAVE_TRY_VOID(resolveMerges(spec, ids, merges, field));
    CONCLAVE_TRY_VOID(checkBytes(spec, ids, field));
    findFimTokens(spec, ids);
    return {};
}

}  // namespace conclave::engine::formats
