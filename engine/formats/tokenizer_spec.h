#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/result.h"
#include "engine/formats/gguf.h"

namespace conclave::engine::formats {

/// What a token is, as GGUF numbers it.
enum class TokenKind : uint8_t { Normal = 1, Unknown = 2, Control = 3, UserDefined = 4, Unused = 5, Byte = 6 };

/// A token that is matched in the text before anything else (tokenizer.json "added_tokens", GGUF types 3 and 4).
struct AddedToken {
    base::TokenId id{};
    std::string content;
    bool special = false;  ///< a control token: matched only in trusted text
    bool leftStrip = false, rightStrip = false, singleWord = false, normalized = false;
};

// Pre-tokenizer steps, in order; each splits the pieces of the one before.
enum class SplitBehavior : uint8_t { Isolated, Removed, MergedWithPrevious, MergedWithNext, Contiguous };
struct SplitStep { std::string pattern; bool isRegex = true; SplitBehavior behavior = SplitBehavior::Isolated; bool invert = false; };
struct DigitsStep { bool individual = false; };
struct ByteLevelStep { bool addPrefixSpace = false; bool useRegex = true; };
struct MetaspaceStep { std::string replacement = "\xE2\x96\x81"; enum class Prepend { Never, First, Always } prepend = Prepend::Always; bool split = true; };
struct PunctuationStep { SplitBehavior behavior = SplitBehavior::Isolated; };
struct WhitespaceStep { bool keepWords = false; };  // "Whitespace" (\w+|[^\w\s]+) when true, else "WhitespaceSplit"
using PreTokenizerStep = std::variant<SplitStep, DigitsStep, ByteLevelStep, MetaspaceStep, PunctuationStep, WhitespaceStep>;

// Normalizer steps, in order.
struct NfcStep {};
struct ReplaceStep { std::string pattern; bool isRegex = false; std::string content; };
struct PrependStep { std::string prefix; };
using NormalizerStep = std::variant<NfcStep, ReplaceStep, PrependStep>;

enum class TokenizerModel : uint8_t {
    ByteLevelBpe,   ///< merges with ranks over GPT-2's byte alphabet
    CharacterBpe,   ///< merges with ranks over characters, with byte fallback where set (Llama 2 as tokenizer.json)
    ScoreBpe,       ///< GGUF's "llama": the pair whose joined token has the best score merges first
};

/// Everything that turns text into ids and back, from tokenizer.json or from a GGUF vocabulary. Checked: ids are dense
/// from 0, every merge joins two known tokens into a known one, added tokens lie inside the vocabulary.
struct TokenizerSpec {
    std::string file;  ///< for messages
    TokenizerModel model = TokenizerModel::ByteLevelBpe;
    std::vector<std::string> tokens;  ///< by id, as stored (byte alphabet or ▁ not undone)
    std::vector<float> scores;        ///< ScoreBpe only
    std::vector<TokenKind> kinds;     ///< by id
    std::vector<std::pair<std::string, std::string>> merges;  ///< best first
    std::vector<AddedToken> added;
    std::vector<NormalizerStep> normalizers;
    std::vector<PreTokenizerStep> preTokenizers;
    std::string preName;  ///< GGUF's tokenizer.ggml.pre; empty from tokenizer.json, whose steps are explicit
    bool byteFallback = false;
    bool ignoreMerges = false;
    bool addSpacePrefix = true;  ///< ScoreBpe: a space before the text
    bool stripLeadingSpace = false;  ///< decoder drops the first space
    std::optional<base::TokenId> unknown, bos, eos;
    std::vector<base::TokenId> endTokens;  ///< GGUF: eos, eot, eom; HF: eos (config and generation_config are added by library)
    std::optional<base::TokenId> fimPrefix, fimSuffix, fimMiddle;
    bool addBos = false, addEos = false;
    std::optional<std::string> chatTemplate;  ///< GGUF's tokenizer.chat_template
};

/// Reads tokenizer.json (and, where given, tokenizer_config.json's bos, eos, add_bos_token; the post-processor's
/// template counts when it does not say). Errors name the field.
base::Result<TokenizerSpec> readTokenizerJson(const std::string& path, const std::optional<std::string>& configPath);
base::Result<TokenizerSpec> parseTokenizerJson(std::string_view text, const std::string& name,
                                               const std::optional<std::string>& configText);

/// Reads the vocabulary of a GGUF file (tokenizer.ggml.*); the architecture is not looked at.
base::Result<TokenizerSpec> readGgufVocabulary(const GgufFile& file);

}  // namespace conclave::engine::formats
