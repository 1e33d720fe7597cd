#include <algorithm>
#include <array>

#include "engine/formats/gguf.h"
#include "engine/formats/tokenizer_spec.h"

namespace conclave::engine::formats {
namespace {

using base::Code;
using base::Error;
using base::Result;
using base::TokenId;

// --- what each value of tokenizer.ggml.pre stands for: regexes, each applied to the pieces of the one ---
// before. Sources: the Split patterns of the models' own tokenizer.json files, and for GGUF's names and their
// sharing llama.cpp's list of pre-tokenizers.

constexpr const char* kGpt2Words =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr const char* kLlama3Words =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen2Words =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen35Words =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kBailingWords =
    R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)";
constexpr const char* kSeedCoderWords =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kGpt4oWords =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kTekkenWords =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kDeepseekWords =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kDeepseekCjk = "[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+";
constexpr const char* kDeepseekLlmLetters =
    "\\s?[A-Za-z"
    "\u00B5\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u01BA\u01BC-\u01BF\u01C4-\u0293\u0295-\u02AF"
    "\u0370-\u0373\u0376\u0377\u037B-\u037D\u037F\u0386\u0388-\u038A\u038C\u038E-\u03A1"
    "\u03A3-\u03F5\u03F7-\u0481\u048A-\u052F\u0531-\u0556\u10A0-\u10C5\u13A0-\u13F5"
    "\u13F8-\u13FD\u1C90-\u1CBA\u1CBD-\u1CBF\u1D00-\u1D2B\u1D6B-\u1D77\u1D79-\u1D9A"
    "\u1E00-\u1F15\u1F18-\u1F1D\u1F20-\u1F45\u1F48-\u1F4D\u1F50-\u1F57\u1F59\u1F5B\u1F5D"
    "\u1F5F-\u1F7D\u1F80-\u1FB4\u1FB6-\u1FBC\u1FBE\u1FC2-\u1FC4\u1FC6-\u1FCC\u1FD0-\u1FD3"
    "\u1FD6-\u1FDB\u1FE0-\u1FEC\u1FF2-\u1FF4\u1FF6-\u1FFC\u2102\u2107\u210A-\u2113\u2115"
    "\u2119-\u211D\u2124\u2126\u2128\u212A-\u212D\u212F-\u2134\u2139\u213C-\u213F"
    "\u2145-\u2149\u214E\u2183\u2184\u2C00-\u2C7B\u2C7E-\u2CE4\u2CEB-\u2CEE\u2CF2\u2CF3"
    "\uA640-\uA66D\uA680-\uA69B\uA722-\uA76F\uA771-\uA787\uA78B-\uA78E\uAB70-\uABBF"
    "\uFB00-\uFB06\uFB13-\uFB17\uFF21-\uFF3A\uFF41-\uFF5A\U00010400-\U0001044F"
    "\U000104B0-\U000104D3\U000104D8-\U000104FB\U00010C80-\U00010CB2\U00010CC0-\U00010CF2"
    "\U000118A0-\U000118DF\U0001E900-\U0001E943"
    "]+";
constexpr const char* kDeepseekLlmPunctuation =
    "\\s?[!-/:-~\uFF01-\uFF0F\uFF1A-\uFF5E\u2018-\u201F\u3000-\u3002]+";
constexpr const char* kDeepseekOldCjk = "[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+";

struct PreRow {
    std::string_view name;
    std::array<const char*, 6> patterns;
    bool ignoreMerges = false;
    bool addBos = false;  ///< where the file does not say
};

constexpr PreRow kPreRows[] = {
    {"default", {R"([\p{P}\$\+<=>\^~\|]+)", kGpt2Words, R"(\p{N}+)", "[0-9][0-9][0-9]"}},
    {"gpt-2", {kGpt2Words}},
    {"deepseek-llm",
     {R"([\r\n])", kDeepseekLlmLetters, kDeepseekLlmPunctuation, R"(\s+$)", kDeepseekOldCjk, R"(\p{N}+)"}},
    {"deepseek-coder", {R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)", kDeepseekOldCjk, R"(\p{N})"}},
    {"deepseek-v3", {R"(\p{N}{1,3})", kDeepseekCjk, kDeepseekWords}},
    {"qwen2", {kQwen2Words}},
    {"qwen35", {kQwen35Words}},
    {"llama-bpe", {kLlama3Words}, true, true},
    {"dbrx", {kLlama3Words}},
    {"starcoder", {R"(\p{N})", kGpt2Words}},
    {"falcon", {R"([\p{P}\$\+<=>\^~\|`]+)", kGpt2Words, "[0-9][0-9][0-9]"}},
    {"tekken", {kTekkenWords}, true, true},
    {"gpt-4o", {kGpt4oWords}},
    {"bailingmoe", {kBailingWords}},
    {"seed-coder", {kSeedCoderWords}},
};

// Other names for a row above.
constexpr std::pair<std::string_view, std::string_view> kPreAliases[] = {
    {"llama3", "llama-bpe"},
    {"llama-v3", "llama-bpe"},
    {"falcon3", "llama-bpe"},
    {"falcon-h1", "llama-bpe"},
    {"pixtral", "llama-bpe"},
    {"midm-2.0", "llama-bpe"},
    {"lfm2", "llama-bpe"},
    {"smaug-bpe", "dbrx"},
    {"chatglm-bpe", "dbrx"},
    {"glm4", "dbrx"},
    {"deepseek-r1-qwen", "qwen2"},
    {"stablelm2", "qwen2"},
    {"hunyuan", "qwen2"},
    {"megrez", "qwen2"},
    {"kormo", "qwen2"},
    {"grok-2", "qwen2"},
    {"hunyuan-dense", "deepseek-v3"},
    {"mpt", "gpt-2"},
    {"olmo", "gpt-2"},
    {"jais", "gpt-2"},
    {"trillion", "gpt-2"},
    {"phi-2", "gpt-2"},
    {"gigachat", "gpt-2"},
    {"mellum", "gpt-2"},
    {"a.x-4.0", "gpt-2"},
    {"exaone4", "gpt-2"},
    {"granite-docling", "gpt-2"},
    {"refact", "starcoder"},
    {"command-r", "starcoder"},
    {"smollm", "starcoder"},
    {"codeshell", "starcoder"},
    {"exaone", "starcoder"},
    {"minerva-7b", "starcoder"},
    {"llama4", "gpt-4o"},
    {"bailingmoe2", "bailingmoe"},
    {"llada-moe", "bailingmoe"},
};

const PreRow* findPre(std::string_view name) {
    for (const auto& [alias, row] : kPreAliases)
        if (alias == name) return findPre(row);
    for (const PreRow& row : kPreRows)
        if (row.name == name) return &row;
    return nullptr;
}

std::vector<PreTokenizerStep> stepsOf(const PreRow& row) {
    std::vector<PreTokenizerStep> steps;
    for (const char* pattern : row.patterns)
        if (pattern) steps.push_back(SplitStep{.pattern = pattern});
    steps.push_back(ByteLevelStep{.addPrefixSpace = false, .useRegex = false});
    return steps;
}

/// The regexes that a list of steps comes to, or nothing where it is more than isolating splits.
std::optional<std::vector<std::string>> regexesOf(const std::vector<PreTokenizerStep>& steps) {
    std::vector<std::string> out;
    for (const PreTokenizerStep& step : steps) {
        if (const auto* split = std::get_if<SplitStep>(&step)) {
            if (!split->isRegex || split->invert || split->behavior != SplitBehavior::Isolated)
                return std::nullopt;
            out.push_back(split->pattern);
        } else if (const auto* digits = std::get_if<DigitsStep>(&step)) {
            out.emplace_back(digits->individual ? R"(\p{N})" : R"(\p{N}+)");
        } else if (const auto* bytes = std::get_if<ByteLevelStep>(&step)) {
            if (bytes->addPrefixSpace) return std::nullopt;
            if (bytes->useRegex) out.emplace_back(kGpt2Words);
        } else {
            return std::nullopt;
        }
    }
    return out;
}

// --- reading ---

constexpr const char* kTokens = "tokenizer.ggml.tokens";
constexpr const char* kMerges = "tokenizer.ggml.merges";
constexpr const char* kScores = "tokenizer.ggml.scores";
constexpr const char* kTypes = "tokenizer.ggml.token_type";

Result<void> readTokens(const GgufFile& file, TokenizerSpec& spec) {
    CONCLAVE_TRY(const TextList* tokens, file.texts(kTokens));
    spec.tokens = *tokens;
    spec.kinds.assign(spec.tokens.size(), TokenKind::Normal);
    if (!file.has(kTypes)) return {};
    CONCLAVE_TRY(const std::vector<int64_t> types, file.integers(kTypes));
    if (types.size() != spec.tokens.size())
        return Error{
            Code::BadTokenizer,
            spec.file,
            kTypes,
            {std::to_string(types.size()) + " types for " + std::to_string(spec.tokens.size()) + " tokens"}};
    for (size_t i = 0; i < types.size(); ++i) {
        if (types[i] < 1 || types[i] > 6)
            return Error{Code::ValueOutOfRange,
                         spec.file,
                         std::string(kTypes) + "[" + std::to_string(i) + "]",
                         {std::to_string(types[i]), "1 to 6"}};
        spec.kinds[i] = static_cast<TokenKind>(types[i]);
        const bool control = spec.kinds[i] == TokenKind::Control || spec.kinds[i] == TokenKind::Unknown;
        if ((control || spec.kinds[i] == TokenKind::UserDefined) && !spec.tokens[i].empty())
            spec.added.push_back({.id = TokenId{static_cast<int32_t>(i)},
                                  .content = std::string(spec.tokens[i]),
                                  .special = control});
    }
    return {};
}

/// An id that the file names, under the first of `keys` that is there.
Result<std::optional<TokenId>> readId(const GgufFile& file, const TokenizerSpec& spec,
                                      std::initializer_list<const char*> keys) {
    for (const char* key : keys) {
        const std::string name = std::string("tokenizer.ggml.") + key;
        if (!file.has(name)) continue;
        CONCLAVE_TRY(const uint64_t id, file.unsignedInt(name));
        if (id >= spec.tokens.size())
            return Error{
                Code::ValueOutOfRange,
                spec.file,
                name,
                {std::to_string(id), "the vocabulary has " + std::to_string(spec.tokens.size()) + " tokens"}};
        return std::optional(TokenId{static_cast<int32_t>(id)});
    }
    return std::optional<TokenId>();
}

Result<void> readIds(const GgufFile& file, TokenizerSpec& spec) {
    CONCLAVE_TRY(spec.bos, readId(file, spec, {"bos_token_id"}));
    CONCLAVE_TRY(spec.eos, readId(file, spec, {"eos_token_id"}));
    CONCLAVE_TRY(spec.unknown, readId(file, spec, {"unknown_token_id"}));
    CONCLAVE_TRY(const auto endOfTurn, readId(file, spec, {"eot_token_id"}));
    CONCLAVE_TRY(const auto endOfMessage, readId(file, spec, {"eom_token_id"}));
    CONCLAVE_TRY(spec.fimPrefix, readId(file, spec, {"fim_pre_token_id", "prefix_token_id"}));
    CONCLAVE_TRY(spec.fimSuffix, readId(file, spec, {"fim_suf_token_id", "suffix_token_id"}));
    CONCLAVE_TRY(spec.fimMiddle, readId(file, spec, {"fim_mid_token_id", "middle_token_id"}));
    for (const auto& id : {spec.eos, endOfTurn, endOfMessage})
        if (id && std::find(spec.endTokens.begin(), spec.endTokens.end(), *id) == spec.endTokens.end())
            spec.endTokens.push_back(*id);
    return {};
}

Result<void> readByteLevelBpe(const GgufFile& file, TokenizerSpec& spec) {
    // Files older than the key were all made for what is now called default.
    CONCLAVE_TRY(spec.preName, file.text("tokenizer.ggml.pre", "default"));
    const PreRow* row = findPre(spec.preName);
    if (!row) {
        std::string known;
        for (const std::string& name : ggufPreNames())
            known += (known.empty() ? "" : ", ") + name;
        return Error{Code::UnknownPreTokenizer, spec.file, "tokenizer.ggml.pre", {spec.preName, known}};
    }
    spec.model = TokenizerModel::ByteLevelBpe;
    spec.preTokenizers = stepsOf(*row);
    spec.ignoreMerges = row->ignoreMerges;
    spec.addBos = row->addBos && spec.bos.has_value();
    spec.addSpacePrefix = false;
    return {};
}

/// The two tokens of a line, or empty texts where it is not that. A space cannot stand inside a token of the
/// byte alphabet, so the first one after a character parts the two.
MergeTexts::Pair splitMerge(std::string_view line) {
    const size_t space = line.find(' ', 1);
    if (space == std::string_view::npos) return {};
    return {line.substr(0, space), line.substr(space + 1)};
}

/// The texts are the file's.
Result<MergeTexts> readMerges(const GgufFile& file) {
    CONCLAVE_TRY(const TextList* lines, file.texts(kMerges));
    for (size_t i = 0; i < lines->size(); ++i)
        if (splitMerge((*lines)[i]).first.empty())
            return Error{Code::BadTokenizer,
                         file.path(),
                         std::string(kMerges) + "[" + std::to_string(i) + "]",
                         {"is not two tokens with a space between them"}};
    return MergeTexts{lines->size(), [lines](size_t i) { return splitMerge((*lines)[i]); }};
}

Result<void> readScoreBpe(const GgufFile& file, TokenizerSpec& spec) {
    spec.model = TokenizerModel::ScoreBpe;
    CONCLAVE_TRY(spec.scores, file.floats(kScores));
    if (spec.scores.size() != spec.tokens.size())
        return Error{Code::BadTokenizer,
                     spec.file,
                     kScores,
                     {std::to_string(spec.scores.size()) + " scores for " +
                      std::to_string(spec.tokens.size()) + " tokens"}};
    for (size_t i = 0; i < spec.scores.size(); ++i)
        if (spec.scores[i] != spec.scores[i])
            return Error{Code::BadTokenizer,
                         spec.file,
                         std::string(kScores) + "[" + std::to_string(i) + "]",
                         {"is not a number"}};
    spec.byteFallback = true;
    spec.spaceMark = "▁";
    CONCLAVE_TRY(spec.addSpacePrefix, file.boolean("tokenizer.ggml.add_space_prefix", true));
    spec.stripLeadingSpace = spec.addSpacePrefix;
    if (spec.addSpacePrefix) spec.normalizers.push_back(PrependStep{spec.spaceMark});
    spec.normalizers.push_back(ReplaceStep{.pattern = " ", .isRegex = false, .content = spec.spaceMark});
    spec.addBos = spec.bos.has_value();
    return {};
}

}  // namespace

std::vector<std::string> ggufPreNames() {
    std::vector<std::string> names;
    for (const PreRow& row : kPreRows)
        names.emplace_back(row.name);
    for (const auto& [alias, row] : kPreAliases)
        names.emplace_back(alias);
    std::sort(names.begin(), names.end());
    return names;
}

std::optional<std::vector<PreTokenizerStep>> ggufPreSteps(std::string_view name) {
    const PreRow* row = findPre(name);
    if (!row) return std::nullopt;
    return stepsOf(*row);
}

std::optional<std::string> ggufPreName(const TokenizerSpec& spec) {
    // GGUF has no place for NFC; its readers leave it out.
    const bool plain = std::all_of(spec.normalizers.begin(), spec.normalizers.end(),
                                   [](const auto& step) { return std::holds_alternative<NfcStep>(step); });
    if (spec.model != TokenizerModel::ByteLevelBpe || !plain) return std::nullopt;
    const auto wanted = regexesOf(spec.preTokenizers);
    if (!wanted) return std::nullopt;
    for (const PreRow& row : kPreRows)
        if (regexesOf(stepsOf(row)) == wanted && row.ignoreMerges == spec.ignoreMerges)
            return std::string(row.name);
    return std::nullopt;
}

Result<TokenizerSpec> readGgufVocabulary(const GgufFile& file) {
    TokenizerSpec spec;
    spec.file = file.path();
    CONCLAVE_TRY(const std::string model, file.text("tokenizer.ggml.model"));
    if (model != "gpt2" && model != "llama")
        return Error{Code::UnsupportedTokenizer,
                     spec.file,
                     "tokenizer.ggml.model",
                     {model, "gpt2 (byte-level BPE) and llama (BPE by scores) are"}};
    CONCLAVE_TRY_VOID(readTokens(file, spec));
    CONCLAVE_TRY_VOID(readIds(file, spec));
    MergeTexts merges;
    if (model == "gpt2") {
        CONCLAVE_TRY_VOID(readByteLevelBpe(file, spec));
        CONCLAVE_TRY(merges, readMerges(file));
    } else {
        CONCLAVE_TRY_VOID(readScoreBpe(file, spec));
    }
    CONCLAVE_TRY(spec.addBos, file.boolean("tokenizer.ggml.add_bos_token", spec.addBos));
    CONCLAVE_TRY(spec.addEos, file.boolean("tokenizer.ggml.add_eos_token", false));
    if (spec.addBos && !spec.bos)
        return Error{Code::BadTokenizer,
                     spec.file,
                     "tokenizer.ggml.add_bos_token",
                     {"there is no bos_token_id to add"}};
    if (file.has("tokenizer.chat_template")) {
        CONCLAVE_TRY(spec.chatTemplate, file.text("tokenizer.chat_template"));
    }
    if (!spec.unknown)
        for (size_t i = 0; i < spec.kinds.size() && !spec.unknown; ++i)
            if (spec.kinds[i] == TokenKind::Unknown) spec.unknown = TokenId{static_cast<int32_t>(i)};
    CONCLAVE_TRY_VOID(checkTokenizer(spec, merges, {kTokens, kMerges, kTokens}));
    return spec;
}

}  // namespace conclave::engine::formats
