#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/result.h"
#include "engine/formats/gguf.h"
#include "engine/formats/text_list.h"

namespace conclave::engine::formats {

/// What a token is, as GGUF numbers it.
enum class TokenKind : uint8_t {
    Normal = 1,
    Unknown = 2,
    Control = 3,
    UserDefined = 4,
    Unused = 5,
    Byte = 6
};

/// A token that is matched in the text before anything else (tokenizer.json "added_tokens", GGUF types 3 and
/// 4).
struct AddedToken {
    base::TokenId id{};
    std::string content;
    bool special = false;  ///< a control token: matched only in trusted text
    bool leftStrip = false, rightStrip = false, singleWord = false, normalized = false;
};

/// Two tokens that may be joined, and what they give.
struct Merge {
    base::TokenId left{}, right{}, joined{};
};

// Pre-tokenizer steps, in order; each splits the pieces of the one before.
enum class SplitBehavior : uint8_t { Isolated, Removed, MergedWithPrevious, MergedWithNext, Contiguous };
struct SplitStep {
    std::string pattern;
    bool isRegex = true;
    SplitBehavior behavior = SplitBehavior::Isolated;
    bool invert = false;
};
struct DigitsStep {
    bool individual = false;
};
struct ByteLevelStep {
    bool addPrefixSpace = false;
    bool useRegex = true;
};
struct MetaspaceStep {
    enum class Prepend { Never, First, Always };
    std::string replacement = "\xE2\x96\x81";
    Prepend prepend = Prepend::Always;
    bool split = true;
};
struct PunctuationStep {
    SplitBehavior behavior = SplitBehavior::Isolated;
};
struct WhitespaceStep {
    bool keepWords = false;  ///< "Whitespace" (\w+|[^\w\s]+) when true, else "WhitespaceSplit"
};
using PreTokenizerStep =
    std::variant<SplitStep, DigitsStep, ByteLevelStep, MetaspaceStep, PunctuationStep, WhitespaceStep>;

// Normalizer steps, in order; they run on each stretch of text between added tokens.
struct NfcStep {};
struct ReplaceStep {
    std::string pattern;
    bool isRegex = false;
    std::string content;
};
struct PrependStep {
    std::string prefix;
};
using NormalizerStep = std::variant<NfcStep, ReplaceStep, PrependStep>;

enum class TokenizerModel : uint8_t {
    ByteLevelBpe,  ///< merges with ranks over GPT-2's byte alphabet
    CharacterBpe,  ///< merges with ranks over characters, with byte fallback where set (Llama 2 as
                   ///< tokenizer.json)
    ScoreBpe,      ///< GGUF's "llama": the pair whose joined token has the best score merges first
};

/// Everything that turns text into ids and back, from tokenizer.json or from a GGUF vocabulary. Checked by
/// checkTokenizer: every vector has one entry for each id, every merge joins two known tokens into a known
/// one, added tokens and named ids lie inside the vocabulary, and no byte of valid UTF-8 is without a token.
struct TokenizerSpec {
    std::string file;  ///< for messages
    TokenizerModel model = TokenizerModel::ByteLevelBpe;
    /// By id, as stored (byte alphabet or ▁ not undone). An id that no text claims has an empty one and is
    /// Unused.
    TextList tokens;
    std::vector<float> scores;     ///< ScoreBpe only
    std::vector<TokenKind> kinds;  ///< by id
    std::vector<Merge> merges;     ///< best first; of a pair listed twice the first counts
    std::vector<AddedToken> added;
    std::vector<NormalizerStep> normalizers;
    std::vector<PreTokenizerStep>
        preTokenizers;               ///< complete from either source; preName only says where from
    std::string preName;             ///< GGUF's tokenizer.ggml.pre; empty from tokenizer.json
    bool byteFallback = false;       ///< characters without a token become <0xNN> tokens
    bool ignoreMerges = false;       ///< a piece that is a token is taken whole
    bool fuseUnknown = false;        ///< neighbouring unknown characters give one unknown token
    bool addSpacePrefix = true;      ///< ScoreBpe: a space before the text (already among the normalizers)
    bool stripLeadingSpace = false;  ///< decoder drops the first space
    bool stripMarkOnly = false;  ///< … and only where it is a spaceMark, not a plain space of an added token
    std::string
        spaceMark;  ///< what stands for a space inside tokens (▁) and is undone by decoding; empty if nothing
    std::optional<base::TokenId> unknown, bos, eos;
    std::vector<base::TokenId>
        endTokens;  ///< GGUF: eos, eot, eom; HF: eos (config and generation_config are added by library)
    std::optional<base::TokenId> fimPrefix, fimSuffix, fimMiddle;
    bool addBos = false, addEos = false;
    std::optional<std::string> chatTemplate;  ///< GGUF's tokenizer.chat_template
};

/// Reads tokenizer.json (and, where given, tokenizer_config.json's bos, eos, add_bos_token; the
/// post-processor's template counts when it does not say). Source: the serialisation of Hugging Face's
/// tokenizers library. Errors name the field; what is well-formed but not handled (Unigram, WordPiece, other
/// steps) is UnsupportedTokenizer.
base::Result<TokenizerSpec> readTokenizerJson(const std::string& path,
                                              const std::optional<std::string>& configPath);
base::Result<TokenizerSpec> parseTokenizerJson(std::string_view text, const std::string& name,
                                               const std::optional<std::string>& configText);

/// Reads the vocabulary of a GGUF file (tokenizer.ggml.*), models "gpt2" and "llama"; the architecture is not
/// looked at. Errors: UnknownPreTokenizer for a tokenizer.ggml.pre that is not in the table,
/// UnsupportedTokenizer for another model, BadTokenizer.
base::Result<TokenizerSpec> readGgufVocabulary(const GgufFile& file);

/// The values of tokenizer.ggml.pre that are known, aliases included, in alphabetical order.
std::vector<std::string> ggufPreNames();
/// The steps that such a name stands for; none if it is not known.
std::optional<std::vector<PreTokenizerStep>> ggufPreSteps(std::string_view name);
/// The name under which a GGUF file can state this tokenizer's steps; none if no row has them.
std::optional<std::string> ggufPreName(const TokenizerSpec& spec);

/// Merges as a file states them: the texts to join, for each number below `count`.
struct MergeTexts {
    using Pair = std::pair<std::string_view, std::string_view>;
    size_t count = 0;
    std::function<Pair(size_t)> at;
};

/// The last step of both readers: makes named end tokens control tokens, finds fill-in-the-middle tokens by
/// their usual texts where the file does not name them, looks up the tokens of `merges` for spec.merges, and
/// checks what TokenizerSpec promises. `field` holds the name that a message gives to tokens and merges.
/// Errors: BadTokenizer, DuplicateName, LimitExceeded, InvalidUtf8.
struct TokenizerFields {
    std::string tokens, merges, added;
};
base::Result<void> checkTokenizer(TokenizerSpec& spec, const MergeTexts& merges,
                                  const TokenizerFields& field);

/// GPT-2's byte alphabet: the code point that stands for a byte in byte-level tokens, and back (nothing for a
/// code point outside the alphabet).
char32_t byteToAlphabet(unsigned char byte);
std::optional<unsigned char> alphabetToByte(char32_t codePoint);
/// Appends the bytes that a byte-level token stands for; false, and nothing, where a character of it is
/// outside the alphabet. The token must be valid UTF-8.
bool appendAlphabetBytes(std::string_view token, std::string& out);

/// The byte that "<0x0A>" names: exactly two upper- or lower-case hexadecimal digits; nothing for any other
/// text.
std::optional<unsigned char> byteOfToken(std::string_view token);

}  // namespace conclave::engine::formats
