#include "engine/offline/import_vocabulary.h"

#include <algorithm>
#include <set>
#include <unordered_set>
#include <utility>
#include <variant>

#include "engine/base/utf8.h"
#include "engine/formats/text_index.h"

namespace conclave::engine::offline {
namespace {

using base::Code;
using base::Error;
using base::Result;
using base::TokenId;
using formats::GgufArray;
using formats::GgufScalar;
using formats::HfFolder;
using formats::TokenizerModel;
using formats::TokenizerSpec;
using formats::TokenKind;

constexpr std::string_view kSpaceMark = "\xE2\x96\x81";

Error unsupported(const TokenizerSpec& spec, const char* field, std::string what, const char* why) {
    return {Code::UnsupportedTokenizer, spec.file, field, {std::move(what), why}};
}

void add(Metadata& out, const char* key, formats::GgufValue value) {
    out.emplace_back(std::string("tokenizer.ggml.") + key, std::move(value));
}

void addId(Metadata& out, const char* key, const std::optional<TokenId>& id) {
    if (id) add(out, key, GgufScalar(static_cast<uint32_t>(toInt(*id))));
}

/// An id or a list of them in a JSON file.
Result<std::vector<TokenId>> idsIn(const nlohmann::json& object, const char* key, const std::string& file,
                                   uint32_t vocabulary) {
    std::vector<TokenId> ids;
    if (!object.contains(key) || object[key].is_null()) return ids;
    const nlohmann::json& value = object[key];
    const nlohmann::json list = value.is_array() ? value : nlohmann::json::array({value});
    for (const nlohmann::json& item : list) {
        if (!item.is_number_integer())
            return Error{Code::WrongType, file, key, {item.type_name(), "a token id or a list of them"}};
        // Some configurations say -1 for "none".
        if (item.is_number_unsigned() && item.get<uint64_t>() < vocabulary)
            ids.push_back(TokenId{static_cast<int32_t>(item.get<uint64_t>())});
    }
    return ids;
}

/// What ends an answer: the tokenizer's end token first, then those of config.json and
/// generation_config.json.
Result<std::vector<TokenId>> endTokens(const HfFolder& folder, const TokenizerSpec& spec,
                                       uint32_t vocabulary) {
    std::vector<TokenId> ends = spec.endTokens;
    CONCLAVE_TRY(std::vector<TokenId> more,
                 idsIn(folder.config, "eos_token_id", folder.path + "/config.json", vocabulary));
    if (folder.generationConfig) {
        CONCLAVE_TRY(const std::vector<TokenId> generation,
                     idsIn(*folder.generationConfig, "eos_token_id", folder.path + "/generation_config.json",
                           vocabulary));
        more.insert(more.end(), generation.begin(), generation.end());
    }
    for (const TokenId id : more)
        if (std::find(ends.begin(), ends.end(), id) == ends.end()) ends.push_back(id);
    return ends;
}

Result<void> idKeys(const HfFolder& folder, const TokenizerSpec& spec, uint32_t vocabulary, Metadata& out,
                    std::vector<std::string>& warnings) {
    std::optional<TokenId> bos = spec.bos;
    if (!bos) {
        CONCLAVE_TRY(const std::vector<TokenId> ids,
                     idsIn(folder.config, "bos_token_id", folder.path + "/config.json", vocabulary));
        if (!ids.empty()) bos = ids[0];
    }
    addId(out, "bos_token_id", bos);
    CONCLAVE_TRY(const std::vector<TokenId> ends, endTokens(folder, spec, vocabulary));
    static constexpr const char* kEndKeys[] = {"eos_token_id", "eot_token_id", "eom_token_id"};
    for (size_t i = 0; i < ends.size(); ++i) {
        if (i < std::size(kEndKeys))
            addId(out, kEndKeys[i], ends[i]);
        else
            warnings.push_back("GGUF has keys for three end tokens; token " + std::to_string(toInt(ends[i])) +
                               " no longer ends an answer");
    }
    CONCLAVE_TRY(const std::vector<TokenId> padding,
                 idsIn(folder.config, "pad_token_id", folder.path + "/config.json", vocabulary));
    if (!padding.empty()) addId(out, "padding_token_id", padding[0]);
    addId(out, "unknown_token_id", spec.unknown);
    addId(out, "fim_pre_token_id", spec.fimPrefix);
    addId(out, "fim_suf_token_id", spec.fimSuffix);
    addId(out, "fim_mid_token_id", spec.fimMiddle);
    add(out, "add_bos_token", GgufScalar(spec.addBos));
    add(out, "add_eos_token", GgufScalar(spec.addEos));
    return {};
}

/// The tokens and what each is, with a name for ids that no text claims.
struct TokenTable {
    formats::TextList texts;
    std::vector<int32_t> kinds;
};

TokenTable tokenTable(const TokenizerSpec& spec, uint32_t vocabulary) {
    TokenTable table;
    const std::unordered_set<std::string_view> known(spec.tokens.begin(), spec.tokens.end());
    for (size_t i = 0; i < vocabulary; ++i) {
        if (i < spec.tokens.size() && !spec.tokens[i].empty()) {
            table.texts.push_back(spec.tokens[i]);
            table.kinds.push_back(static_cast<int32_t>(spec.kinds[i]));
            continue;
        }
        std::string name = "[PAD" + std::to_string(i) + "]";
        while (known.count(name) > 0)
            name = "[" + name + "]";
        table.texts.push_back(name);
        table.kinds.push_back(static_cast<int32_t>(TokenKind::Unused));
    }
    return table;
}

/// Some writers escape quotes and slashes, which mean themselves either way.
std::string withoutNeedlessEscapes(const std::string& pattern) {
    std::string out;
    for (size_t i = 0; i < pattern.size(); ++i) {
        if (pattern[i] == '\\' && i + 1 < pattern.size()) {
            ++i;
            if (std::string_view("\"'/").find(pattern[i]) == std::string_view::npos) out += '\\';
        }
        out += pattern[i];
    }
    return out;
}

/// The name that GGUF knows the steps by.
std::optional<std::string> preNameOf(const TokenizerSpec& spec) {
    TokenizerSpec steps;
    steps.model = spec.model;
    steps.ignoreMerges = spec.ignoreMerges;
    steps.normalizers = spec.normalizers;
    steps.preTokenizers = spec.preTokenizers;
    for (formats::PreTokenizerStep& step : steps.preTokenizers)
        if (auto* split = std::get_if<formats::SplitStep>(&step); split && split->isRegex)
            split->pattern = withoutNeedlessEscapes(split->pattern);
    return formats::ggufPreName(steps);
}

Result<void> byteLevelKeys(const TokenizerSpec& spec, Metadata& out) {
    const std::optional<std::string> pre = preNameOf(spec);
    if (!pre) {
        std::string known;
        for (const std::string& name : formats::ggufPreNames())
            known += (known.empty() ? "" : ", ") + name;
        return Error{
            Code::UnknownPreTokenizer, spec.file, "pre_tokenizer", {"(the steps of this file)", known}};
    }
    add(out, "model", GgufScalar(std::string("gpt2")));
    add(out, "pre", GgufScalar(*pre));
    return {};
}

/// The steps must be SentencePiece's: a mark for every space, with or without one before the text.
Result<bool> spacePrefixOf(const TokenizerSpec& spec) {
    bool prefix = false, replaced = false;
    for (const auto& step : spec.normalizers) {
        const auto* prepend = std::get_if<formats::PrependStep>(&step);
        const auto* replace = std::get_if<formats::ReplaceStep>(&step);
        if (prepend && prepend->prefix == kSpaceMark)
            prefix = true;
        else if (replace && !replace->isRegex && replace->pattern == " " && replace->content == kSpaceMark)
            replaced = true;
        else
            return unsupported(spec, "normalizer", "a step other than Prepend and Replace of the space mark",
                               "GGUF's llama model has none");
    }
    for (const auto& step : spec.preTokenizers) {
        const auto* metaspace = std::get_if<formats::MetaspaceStep>(&step);
        if (!metaspace || metaspace->replacement != kSpaceMark)
            return unsupported(spec, "pre_tokenizer", "a step other than Metaspace",
                               "GGUF's llama model has none");
        replaced = true;
        prefix = prefix || metaspace->prepend != formats::MetaspaceStep::Prepend::Never;
        const auto inside = [](std::string_view token) {
            return token.find(kSpaceMark, 1) != std::string_view::npos;
        };
        if (metaspace->split && std::any_of(spec.tokens.begin(), spec.tokens.end(), inside))
            return unsupported(spec, "pre_tokenizer", "Metaspace that splits, with tokens that span words,",
                               "GGUF's llama model does not split");
    }
    if (!replaced)
        return unsupported(spec, "normalizer", "a text without the space mark",
                           "GGUF's llama model always has it");
    if (!spec.byteFallback)
        return unsupported(spec, "model.byte_fallback", "false", "GGUF's llama model has byte tokens");
    return prefix;
}

Result<void> scoreKeys(const TokenizerSpec& spec, uint32_t vocabulary, Metadata& out) {
    CONCLAVE_TRY(const bool prefix, spacePrefixOf(spec));
    CONCLAVE_TRY(std::vector<float> scores, scoresOf(spec));
    scores.resize(vocabulary, 0.0f);
    add(out, "model", GgufScalar(std::string("llama")));
    add(out, "pre", GgufScalar(std::string("default")));
    add(out, "scores", GgufArray(std::move(scores)));
    add(out, "add_space_prefix", GgufScalar(prefix));
    return {};
}

bool isPlain(const TokenizerSpec& spec, size_t id) {
    return spec.kinds[id] == TokenKind::Normal;
}

}  // namespace

Result<std::vector<float>> scoresOf(const TokenizerSpec& spec) {
    formats::TextIndex ids(spec.tokens.size());
    for (uint32_t i = 0; i < spec.tokens.size(); ++i)
        ids.add(spec.tokens, i);
    std::set<std::pair<TokenId, TokenId>> pairs;
    std::vector<float> scores(spec.tokens.size(), 0.0f);
    std::vector<bool> made(spec.tokens.size(), false);
    // Ranks of the pairs that make one token must stand together: a score cannot tell them apart.
    size_t last = spec.tokens.size();
    float next = 0;
    for (const formats::Merge& merge : spec.merges) {
        if (!pairs.emplace(merge.left, merge.right).second) continue;
        const auto id = static_cast<size_t>(toInt(merge.joined));
        if (id == last) continue;
        if (made[id])
            return unsupported(spec, "model.merges",
                               "the order of the merges that make " + std::string(spec.tokens[id]),
                               "merging by score has one rank for each token");
        made[id] = true;
        scores[id] = next--;
        last = id;
    }
    for (size_t i = 0; i < spec.tokens.size(); ++i) {
        if (!isPlain(spec, i)) continue;
        const std::string_view text = spec.tokens[i];
        // Never made by merging two others, so any pair that happens to spell it must not be one.
        if (!made[i]) scores[i] = next;
        for (size_t at = 0; at < text.size();) {
            base::nextCodePoint(text, at);
            if (at == text.size()) break;
            const uint32_t left = ids.find(spec.tokens, text.substr(0, at)),
                           right = ids.find(spec.tokens, text.substr(at));
            if (left == formats::TextIndex::kNone || right == formats::TextIndex::kNone ||
                !isPlain(spec, left) || !isPlain(spec, right))
                continue;
            if (pairs.count({TokenId{static_cast<int32_t>(left)}, TokenId{static_cast<int32_t>(right)}}) == 0)
                return unsupported(spec, "model.merges",
                                   "that " + std::string(spec.tokens[left]) + " and " +
                                       std::string(spec.tokens[right]) + " do not merge",
                                   "merging by score joins every pair that spells a token");
        }
    }
    return scores;
}

Result<Metadata> vocabularyKeys(const HfFolder& folder, const TokenizerSpec& spec, uint32_t vocabulary,
                                std::vector<std::string>& warnings) {
    if (spec.tokens.size() > vocabulary)
        return Error{Code::VocabularyMismatch,
                     spec.file,
                     "",
                     {std::to_string(spec.tokens.size()), std::to_string(vocabulary)}};
    Metadata out;
    if (spec.model == TokenizerModel::ByteLevelBpe)
        CONCLAVE_TRY_VOID(byteLevelKeys(spec, out));
    else
        CONCLAVE_TRY_VOID(scoreKeys(spec, vocabulary, out));
    TokenTable table = tokenTable(spec, vocabulary);
    add(out, "tokens", GgufArray(std::move(table.texts)));
    add(out, "token_type", GgufArray(std::move(table.kinds)));
    if (spec.model == TokenizerModel::ByteLevelBpe) {
        const auto textOf = [&](TokenId id) {
            return std::string(spec.tokens[static_cast<size_t>(toInt(id))]);
        };
        formats::TextList merges;
        for (const formats::Merge& merge : spec.merges)
            merges.push_back(textOf(merge.left).append(" ").append(textOf(merge.right)));
        add(out, "merges", GgufArray(std::move(merges)));
    }
    CONCLAVE_TRY_VOID(idKeys(folder, spec, vocabulary, out, warnings));
    if (folder.chatTemplate) out.emplace_back("tokenizer.chat_template", GgufScalar(*folder.chatTemplate));
    const auto strips = [](const formats::AddedToken& token) {
        return token.leftStrip || token.rightStrip || token.singleWord;
    };
    if (std::any_of(spec.added.begin(), spec.added.end(), strips))
        warnings.push_back("GGUF has no key for added tokens that take the spaces around them (lstrip, "
                           "rstrip) or stand for whole words only");
    return out;
}

}  // namespace conclave::engine::offline
