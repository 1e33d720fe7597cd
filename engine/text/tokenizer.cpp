#include "engine/text/tokenizer.h"

#include <algorithm>

#include "engine/base/utf8.h"
#include "engine/text/added_tokens.h"
#include "engine/text/bpe.h"
#include "engine/text/normalizer.h"
#include "engine/text/pre_tokenizer.h"

namespace conclave::engine::text {
namespace {

using base::Code;
using base::Error;
using base::Result;
using base::TokenId;
using formats::TokenizerSpec;
using formats::TokenKind;

// Symbols of a piece are counted in 32 bits, and a step may put three bytes for one.
constexpr size_t kTextBytes = size_t{1} << 30;

/// The bytes of each token one after another, and where each begins.
struct TokenBytes {
    std::string all;
    std::vector<size_t> begins;

    std::string_view of(size_t id) const {
        return std::string_view(all).substr(begins[id], begins[id + 1] - begins[id]);
    }
};

/// A normal token's text with the byte alphabet or the mark for spaces undone. What is not of the alphabet is
/// meant as it stands.
void appendDecoded(const TokenizerSpec& spec, std::string_view text, std::string& out) {
    if (spec.model == formats::TokenizerModel::ByteLevelBpe) {
        if (!formats::appendAlphabetBytes(text, out)) out += text;
        return;
    }
    size_t done = 0;
    while (!spec.spaceMark.empty()) {
        const size_t mark = text.find(spec.spaceMark, done);
        if (mark == std::string_view::npos) break;
        out.append(text, done, mark - done);
        out += ' ';
        done = mark + spec.spaceMark.size();
    }
    out.append(text, done);
}

struct Verbatim {
    size_t id;
    std::string text;
};

/// What added tokens stand for, by id; of an id listed twice the last counts. `later` as in decodeAll.
std::vector<Verbatim> verbatimTexts(const TokenizerSpec& spec,
                                    const std::vector<formats::AddedToken>& later) {
    std::vector<Verbatim> texts;
    for (const formats::AddedToken& token : spec.added)
        texts.push_back({static_cast<size_t>(base::toInt(token.id)), token.content});
    if (spec.model != formats::TokenizerModel::ByteLevelBpe)
        for (const formats::AddedToken& token : later) {
            texts.push_back({static_cast<size_t>(base::toInt(token.id)), {}});
            appendDecoded(spec, token.content, texts.back().text);
        }
    std::stable_sort(texts.begin(), texts.end(),
                     [](const Verbatim& a, const Verbatim& b) { return a.id < b.id; });
    return texts;
}

/// `later` are the tokens that are matched after normalisation, with what they are matched as: what
/// normalisation put there belongs to them.
TokenBytes decodeAll(const TokenizerSpec& spec, const std::vector<formats::AddedToken>& later) {
    const std::vector<Verbatim> texts = verbatimTexts(spec, later);
    auto next = texts.begin();
    TokenBytes made;
    made.all.reserve(spec.tokens.bytes());
    made.begins.reserve(spec.tokens.size() + 1);
    for (size_t id = 0; id < spec.tokens.size(); ++id) {
        made.begins.push_back(made.all.size());
        const std::string* verbatim = nullptr;
        for (; next != texts.end() && next->id == id; ++next)
            verbatim = &next->text;
        const TokenKind kind = spec.kinds[id];
        const auto byte = kind == TokenKind::Byte ? formats::byteOfToken(spec.tokens[id]) : std::nullopt;
        if (byte)
            made.all += static_cast<char>(*byte);
        else if (verbatim)
            made.all += *verbatim;
        else if (kind == TokenKind::Control || kind == TokenKind::Unknown)
            made.all += spec.tokens[id];
        else
            appendDecoded(spec, spec.tokens[id], made.all);
    }
    made.begins.push_back(made.all.size());
    return made;
}

/// The added tokens that are looked for in the text as it came, or in the text after normalisation. Control
/// tokens are always found in the text as it came: normalisation would lose which of it is trusted.
std::vector<formats::AddedToken> tokensFor(const TokenizerSpec& spec, const Normalizer& normalizer,
                                           bool normalized) {
    std::vector<formats::AddedToken> out;
    for (const formats::AddedToken& token : spec.added) {
        const bool later = token.normalized && !token.special && !normalizer.changesNothing();
        if (later == normalized) out.push_back(token);
    }
    return out;
}

}  // namespace

struct Tokenizer::State {
    TokenizerSpec spec;
    TokenBytes bytes;
    Normalizer normalizer;
    PreTokenizer preTokenizer;
    Bpe bpe;
    AddedTokens added, addedAfterNormalizer;

    Result<void> encodeText(std::string_view text, bool atStart, Bpe::Scratch& scratch,
                            std::vector<TokenId>& out) const;
    Result<void> encodePieces(std::string_view text, bool atStart, Bpe::Scratch& scratch,
                              std::vector<TokenId>& out) const;
};

Tokenizer::Tokenizer(std::unique_ptr<const State> state) : state_(std::move(state)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

base::Result<Tokenizer> Tokenizer::make(TokenizerSpec spec) {
    CONCLAVE_TRY(Normalizer normalizer, Normalizer::make(spec.normalizers, spec.file));
    CONCLAVE_TRY(PreTokenizer preTokenizer, PreTokenizer::make(spec.preTokenizers, spec.file));
    CONCLAVE_TRY(Bpe bpe, Bpe::make(spec));
    // A token that is matched after normalisation is matched as its own normalised text.
    std::vector<formats::AddedToken> later = tokensFor(spec, normalizer, true);
    for (formats::AddedToken& token : later) {
        CONCLAVE_TRY(token.content, normalizer.apply(token.content));
        if (token.content.empty())
            return Error{
                Code::BadTokenizer, spec.file, "added_tokens", {"normalisation leaves nothing of a token"}};
    }
    AddedTokens first(tokensFor(spec, normalizer, false));
    TokenBytes bytes = decodeAll(spec, later);
    spec.merges.clear();
    spec.merges.shrink_to_fit();
    return Tokenizer(std::make_unique<const State>(
        State{std::move(spec), std::move(bytes), std::move(normalizer), std::move(preTokenizer),
              std::move(bpe), std::move(first), AddedTokens(std::move(later))}));
}

Result<void> Tokenizer::State::encodePieces(std::string_view text, bool atStart, Bpe::Scratch& scratch,
                                            std::vector<TokenId>& out) const {
    return preTokenizer.split(text, atStart,
                              [&](std::string_view piece) { bpe.encode(piece, scratch, out); });
}

Result<void> Tokenizer::State::encodeText(std::string_view text, bool atStart, Bpe::Scratch& scratch,
                                          std::vector<TokenId>& out) const {
    if (normalizer.changesNothing()) return encodePieces(text, atStart, scratch, out);
    CONCLAVE_TRY(const std::string normal, normalizer.apply(text));
    for (const AddedTokens::Part& part : addedAfterNormalizer.split(normal, {})) {
        if (part.id)
            out.push_back(*part.id);
        else
            CONCLAVE_TRY_VOID(encodePieces(std::string_view(normal).substr(part.begin, part.end - part.begin),
                                           atStart && part.begin == 0, scratch, out));
    }
    return {};
}

base::Result<std::vector<TokenId>> Tokenizer::encode(std::span<const TextSpan> spans, AddBos addBos) const {
    std::string text;
    AddedTokens::Ranges trusted;
    for (const TextSpan& span : spans) {
        if (span.text.empty()) continue;
        const size_t begin = text.size();
        text += span.text;
        if (!span.trusted) continue;
        if (!trusted.empty() && trusted.back().second == begin)
            trusted.back().second = text.size();
        else
            trusted.emplace_back(begin, text.size());
    }
    if (text.size() > kTextBytes)
        return Error{Code::LimitExceeded,
                     "",
                     "text",
                     {std::to_string(text.size()) + " bytes", std::to_string(kTextBytes)}};
    const size_t valid = base::validUtf8Prefix(text);
    if (valid != text.size()) return Error{Code::InvalidUtf8, "", "text", {std::to_string(valid)}};

    std::vector<TokenId> ids;
    Bpe::Scratch scratch;
    for (const AddedTokens::Part& part : state_->added.split(text, trusted)) {
        if (part.id)
            ids.push_back(*part.id);
        else
            CONCLAVE_TRY_VOID(
                state_->encodeText(std::string_view(text).substr(part.begin, part.end - part.begin),
                                   part.begin == 0, scratch, ids));
    }
    const TokenizerSpec& spec = state_->spec;
    if (addBos == AddBos::IfWanted && spec.addBos && spec.bos && (ids.empty() || ids.front() != *spec.bos))
        ids.insert(ids.begin(), *spec.bos);
    return ids;
}

base::Result<std::vector<TokenId>> Tokenizer::encode(std::string_view text, bool parseControl,
                                                     AddBos addBos) const {
    const TextSpan span{std::string(text), parseControl};
    return encode(std::span(&span, 1), addBos);
}

std::string_view Tokenizer::bytes(TokenId id) const {
    const auto index = static_cast<size_t>(base::toInt(id));
    CONCLAVE_CHECK(base::toInt(id) >= 0 && index < size());
    return state_->bytes.of(index);
}

base::Result<std::string> Tokenizer::decode(std::span<const TokenId> ids, bool showControl) const {
    std::string text;
    bool atStart = stripsLeadingSpace();
    for (const TokenId id : ids) {
        if (base::toInt(id) < 0 || static_cast<size_t>(base::toInt(id)) >= size())
            return Error{Code::TokenOutOfRange,
                         "",
                         "tokens",
                         {std::to_string(base::toInt(id)), std::to_string(size() - 1)}};
        const bool control = isControl(id);
        if (control && !showControl) continue;
        std::string_view piece = bytes(id);
        const bool strips = !spec().stripMarkOnly ||
                            spec().tokens[static_cast<size_t>(base::toInt(id))].starts_with(spec().spaceMark);
        if (atStart && strips && !control && !piece.empty() && piece.front() == ' ') piece.remove_prefix(1);
        atStart = false;
        text += piece;
    }
    return base::replaceInvalidUtf8(text);
}

size_t Tokenizer::size() const {
    return state_->spec.tokens.size();
}

bool Tokenizer::isControl(TokenId id) const {
    const auto index = static_cast<size_t>(base::toInt(id));
    CONCLAVE_CHECK(base::toInt(id) >= 0 && index < size());
    const TokenKind kind = state_->spec.kinds[index];
    return kind == TokenKind::Control || kind == TokenKind::Unknown;
}

bool Tokenizer::addsBos() const {
    return state_->spec.addBos;
}

bool Tokenizer::stripsLeadingSpace() const {
    return state_->spec.stripLeadingSpace;
}

const TokenizerSpec& Tokenizer::spec() const {
    return state_->spec;
}

}  // namespace conclave::engine::text
