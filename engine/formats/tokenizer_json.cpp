#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "engine/base/utf8.h"
#include "engine/formats/hf_folder.h"
#include "engine/formats/tokenizer_spec.h"
#include "engine/platform/file.h"

namespace conclave::engine::formats {
namespace {

using base::Code;
using base::Error;
using base::Result;
using base::TokenId;
using nlohmann::json;

constexpr int64_t kMaxTokens = int64_t{1} << 24;
// An id far above the number of tokens would make every table as large as the id.
constexpr int64_t kHolesAllowed = 4096;

/// A place in the document: the value and its path for messages.
struct Field {
    const json* value;
    std::string path;
    const std::string* file;

    Error wrong(const char* needed) const {
        return {Code::WrongType, *file, path, {std::string(value->type_name()), needed}};
    }
    Error unsupported(const std::string& what, const char* supported) const {
        return {Code::UnsupportedTokenizer, *file, path, {what, supported}};
    }
    Error bad(std::string why) const { return {Code::BadTokenizer, *file, path, {std::move(why)}}; }

    bool has(const char* key) const {
        if (!value->is_object()) return false;
        const auto it = value->find(key);
        return it != value->end() && !it->is_null();
    }
    std::string pathOf(const char* key) const { return path.empty() ? key : path + "." + key; }
    Field at(size_t index) const {
        return {&(*value)[index], path + "[" + std::to_string(index) + "]", file};
    }

    Result<Field> child(const char* key) const {
        if (!value->is_object()) return wrong("an object");
        if (!has(key)) return Error{Code::MissingKey, *file, pathOf(key), {}};
        return Field{&(*value)[key], pathOf(key), file};
    }
    Result<Field> array(const char* key) const {
        CONCLAVE_TRY(const Field field, child(key));
        if (!field.value->is_array()) return field.wrong("a list");
        return field;
    }
    Result<std::string> text(const char* key) const {
        CONCLAVE_TRY(const Field field, child(key));
        return field.asText();
    }
    Result<std::string> asText() const {
        CONCLAVE_TRY(const std::string_view text, asView());
        return std::string(text);
    }
    /// The text lies in the document.
    Result<std::string_view> asView() const {
        if (!value->is_string()) return wrong("text");
        return std::string_view(value->get_ref<const std::string&>());
    }
    Result<bool> flag(const char* key, bool otherwise) const {
        if (!has(key)) return otherwise;
        CONCLAVE_TRY(const Field field, child(key));
        if (!field.value->is_boolean()) return field.wrong("true or false");
        return field.value->get<bool>();
    }
    Result<TokenId> id() const {
        if (!value->is_number_integer()) return wrong("a whole number");
        const bool fits = value->is_number_unsigned()
                              ? value->get<uint64_t>() < static_cast<uint64_t>(kMaxTokens)
                              : value->get<int64_t>() >= 0;
        if (!fits)
            return Error{Code::ValueOutOfRange,
                         *file,
                         path,
                         {value->dump(), "token ids go from 0 to " + std::to_string(kMaxTokens - 1)}};
        return TokenId{static_cast<int32_t>(value->get<int64_t>())};
    }
};

/// One kind of step: its "type" in the file and how it is read.
template <class Out> struct StepRow {
    std::string_view type;
    Result<void> (*read)(const Field&, Out&);
};

/// Reads a step by its type; "Sequence" is read as its members in order, whose list stands under `listKey`.
template <class Out, size_t N>
Result<void> readSteps(const Field& step, const char* listKey, const StepRow<Out> (&rows)[N],
                       const char* supported, Out& out) {
    CONCLAVE_TRY(const std::string type, step.text("type"));
    if (type == "Sequence") {
        CONCLAVE_TRY(const Field list, step.array(listKey));
        for (size_t i = 0; i < list.value->size(); ++i)
            CONCLAVE_TRY_VOID(readSteps(list.at(i), listKey, rows, supported, out));
        return {};
    }
    for (const StepRow<Out>& row : rows)
        if (row.type == type) return row.read(step, out);
    return step.unsupported(type, supported);
}

// --- pre-tokenizers ---

constexpr std::array<std::pair<std::string_view, SplitBehavior>, 5> kBehaviors{{
    {"Isolated", SplitBehavior::Isolated},
    {"Removed", SplitBehavior::Removed},
    {"MergedWithPrevious", SplitBehavior::MergedWithPrevious},
    {"MergedWithNext", SplitBehavior::MergedWithNext},
    {"Contiguous", SplitBehavior::Contiguous},
}};

Result<SplitBehavior> readBehavior(const Field& step, SplitBehavior otherwise) {
    if (!step.has("behavior")) return otherwise;
    CONCLAVE_TRY(const std::string name, step.text("behavior"));
    for (const auto& [known, behavior] : kBehaviors)
        if (known == name) return behavior;
    return step.unsupported("behavior " + name,
                            "Isolated, Removed, MergedWithPrevious, MergedWithNext and Contiguous are");
}

/// {"String": "x"} or {"Regex": "x+"}.
Result<std::pair<std::string, bool>> readPattern(const Field& step) {
    CONCLAVE_TRY(const Field pattern, step.child("pattern"));
    if (pattern.value->is_object() && pattern.value->size() == 1) {
        if (pattern.has("String")) {
            CONCLAVE_TRY(std::string text, pattern.text("String"));
            return std::pair{std::move(text), false};
        }
        if (pattern.has("Regex")) {
            CONCLAVE_TRY(std::string text, pattern.text("Regex"));
            return std::pair{std::move(text), true};
        }
    }
    return pattern.wrong("an object with one of String and Regex");
}

using Steps = std::vector<PreTokenizerStep>;

Result<void> readSplit(const Field& step, Steps& out) {
    CONCLAVE_TRY(auto pattern, readPattern(step));
    CONCLAVE_TRY(const SplitBehavior behavior, readBehavior(step, SplitBehavior::Isolated));
    CONCLAVE_TRY(const bool invert, step.flag("invert", false));
    out.push_back(SplitStep{std::move(pattern.first), pattern.second, behavior, invert});
    return {};
}

Result<void> readDigits(const Field& step, Steps& out) {
    CONCLAVE_TRY(const bool individual, step.flag("individual_digits", false));
    out.push_back(DigitsStep{individual});
    return {};
}

Result<void> readByteLevel(const Field& step, Steps& out) {
    CONCLAVE_TRY(const bool prefix, step.flag("add_prefix_space", true));
    CONCLAVE_TRY(const bool regex, step.flag("use_regex", true));
    for (const PreTokenizerStep& earlier : out)
        if (std::holds_alternative<ByteLevelStep>(earlier))
            return step.unsupported("a second ByteLevel step", "one is");
    out.push_back(ByteLevelStep{prefix, regex});
    return {};
}

Result<MetaspaceStep> readMetaspaceStep(const Field& step) {
    MetaspaceStep read;
    CONCLAVE_TRY(read.replacement, step.text("replacement"));
    size_t at = 0;
    if (read.replacement.empty() ||
        (base::nextCodePoint(read.replacement, at), at != read.replacement.size()))
        return step.bad("its replacement is not one character");
    CONCLAVE_TRY(const bool oldPrefix, step.flag("add_prefix_space", true));
    read.prepend = oldPrefix ? MetaspaceStep::Prepend::Always : MetaspaceStep::Prepend::Never;
    if (step.has("prepend_scheme")) {
        CONCLAVE_TRY(const std::string scheme, step.text("prepend_scheme"));
        if (scheme == "first")
            read.prepend = MetaspaceStep::Prepend::First;
        else if (scheme == "never")
            read.prepend = MetaspaceStep::Prepend::Never;
        else if (scheme == "always")
            read.prepend = MetaspaceStep::Prepend::Always;
        else
            return step.unsupported("prepend_scheme " + scheme, "first, never and always are");
    }
    CONCLAVE_TRY(read.split, step.flag("split", true));
    return read;
}

Result<void> readMetaspace(const Field& step, Steps& out) {
    CONCLAVE_TRY(MetaspaceStep read, readMetaspaceStep(step));
    out.push_back(std::move(read));
    return {};
}

Result<void> readPunctuation(const Field& step, Steps& out) {
    CONCLAVE_TRY(const SplitBehavior behavior, readBehavior(step, SplitBehavior::Isolated));
    out.push_back(PunctuationStep{behavior});
    return {};
}

constexpr StepRow<Steps> kPreTokenizers[] = {
    {"Split", readSplit},
    {"Digits", readDigits},
    {"ByteLevel", readByteLevel},
    {"Metaspace", readMetaspace},
    {"Punctuation", readPunctuation},
    {"Whitespace",
     [](const Field&, Steps& out) -> Result<void> {
         return out.push_back(WhitespaceStep{true}), Result<void>();
     }},
    {"WhitespaceSplit",
     [](const Field&, Steps& out) -> Result<void> {
         return out.push_back(WhitespaceStep{false}), Result<void>();
     }},
};
constexpr const char* kPreTokenizersKnown =
    "Split, Digits, ByteLevel, Metaspace, Punctuation, Whitespace, WhitespaceSplit and Sequence are";

// --- normalizers ---

using Normalizers = std::vector<NormalizerStep>;

Result<void> readReplace(const Field& step, Normalizers& out) {
    CONCLAVE_TRY(auto pattern, readPattern(step));
    CONCLAVE_TRY(std::string content, step.text("content"));
    if (pattern.first.empty()) return step.bad("its pattern is empty");
    out.push_back(ReplaceStep{std::move(pattern.first), pattern.second, std::move(content)});
    return {};
}

Result<void> readPrepend(const Field& step, Normalizers& out) {
    CONCLAVE_TRY(std::string prefix, step.text("prepend"));
    out.push_back(PrependStep{std::move(prefix)});
    return {};
}

constexpr StepRow<Normalizers> kNormalizers[] = {
    {"NFC",
     [](const Field&, Normalizers& out) -> Result<void> { return out.push_back(NfcStep{}), Result<void>(); }},
    {"Replace", readReplace},
    {"Prepend", readPrepend},
};

// --- decoders ---

/// What the decoder undoes.
struct Decoder {
    bool byteLevel = false;
    bool byteFallback = false;
    std::string spaceMark;
    bool stripLeading = false;
    bool stripMarkOnly = false;
};

Result<void> readReplaceDecoder(const Field& step, Decoder& out) {
    CONCLAVE_TRY(const auto pattern, readPattern(step));
    CONCLAVE_TRY(const std::string content, step.text("content"));
    if (pattern.second || content != " " || pattern.first.empty() || !out.spaceMark.empty())
        return step.unsupported("this Replace", "one that turns a text into a space is");
    out.spaceMark = pattern.first;
    return {};
}

Result<void> readStripDecoder(const Field& step, Decoder& out) {
    CONCLAVE_TRY(const std::string content, step.text("content"));
    CONCLAVE_TRY(const Field start, step.child("start"));
    CONCLAVE_TRY(const Field stop, step.child("stop"));
    if (content != " " || *start.value != json(1) || *stop.value != json(0))
        return step.unsupported("this Strip", "one space at the start is");
    out.stripLeading = true;
    return {};
}

Result<void> readMetaspaceDecoder(const Field& step, Decoder& out) {
    CONCLAVE_TRY(const MetaspaceStep read, readMetaspaceStep(step));
    out.spaceMark = read.replacement;
    out.stripLeading = out.stripMarkOnly = read.prepend != MetaspaceStep::Prepend::Never;
    return {};
}

constexpr StepRow<Decoder> kDecoders[] = {
    {"ByteLevel",
     [](const Field&, Decoder& out) -> Result<void> { return out.byteLevel = true, Result<void>(); }},
    {"ByteFallback",
     [](const Field&, Decoder& out) -> Result<void> { return out.byteFallback = true, Result<void>(); }},
    {"Fuse", [](const Field&, Decoder&) -> Result<void> { return {}; }},
    {"Metaspace", readMetaspaceDecoder},
    {"Replace", readReplaceDecoder},
    {"Strip", readStripDecoder},
};

// --- post-processors ---

/// What the template writes before and after a single text.
struct Template {
    std::optional<TokenId> before, after;
};

Result<TokenId> templateToken(const Field& post, const std::string& name) {
    CONCLAVE_TRY(const Field known, post.child("special_tokens"));
    CONCLAVE_TRY(const Field token, known.child(name.c_str()));
    CONCLAVE_TRY(const Field ids, token.array("ids"));
    if (ids.value->size() != 1) return token.unsupported("a special token of several ids", "one id is");
    return ids.at(0).id();
}

Result<void> readTemplate(const Field& post, Template& out) {
    CONCLAVE_TRY(const Field single, post.array("single"));
    bool textSeen = false;
    for (size_t i = 0; i < single.value->size(); ++i) {
        const Field item = single.at(i);
        if (item.has("Sequence")) {
            if (textSeen) return item.unsupported("a second text", "one is");
            textSeen = true;
            continue;
        }
        CONCLAVE_TRY(const Field special, item.child("SpecialToken"));
        CONCLAVE_TRY(const std::string name, special.text("id"));
        CONCLAVE_TRY(const TokenId id, templateToken(post, name));
        std::optional<TokenId>& place = textSeen ? out.after : out.before;
        if (place)
            return item.unsupported("more than one token on a side", "one before and one after the text are");
        place = id;
    }
    return {};
}

constexpr StepRow<Template> kPostProcessors[] = {
    {"ByteLevel", [](const Field&, Template&) -> Result<void> { return {}; }},
    {"TemplateProcessing", readTemplate},
};

// --- model and added tokens ---

/// The tokens by id, while they come in any order. The texts lie in the document.
struct Tokens {
    std::vector<std::string_view> texts;
    std::vector<TokenKind> kinds;

    Result<void> place(const Field& field, TokenId id, std::string_view text, TokenKind kind) {
        const auto index = static_cast<size_t>(base::toInt(id));
        if (index >= texts.size()) {
            texts.resize(index + 1);
            kinds.resize(index + 1, TokenKind::Unused);
        }
        if (!texts[index].empty() && texts[index] != text)
            return field.bad("id " + std::to_string(index) + " belongs to another token already");
        texts[index] = text;
        kinds[index] = kind;
        return {};
    }
};

Result<void> readVocabulary(const Field& vocab, Tokens& tokens) {
    if (!vocab.value->is_object()) return vocab.wrong("an object");
    const auto limit = static_cast<int64_t>(vocab.value->size()) * 2 + kHolesAllowed;
    for (auto it = vocab.value->begin(); it != vocab.value->end(); ++it) {
        const Field entry{&it.value(), vocab.path + "." + it.key(), vocab.file};
        CONCLAVE_TRY(const TokenId id, entry.id());
        if (base::toInt(id) >= limit)
            return Error{Code::ValueOutOfRange,
                         *vocab.file,
                         entry.path,
                         {std::to_string(base::toInt(id)),
                          "the vocabulary has only " + std::to_string(vocab.value->size()) + " tokens"}};
        CONCLAVE_TRY_VOID(tokens.place(entry, id, it.key(), TokenKind::Normal));
    }
    return {};
}

/// The texts lie in the document.
Result<MergeTexts> readMerges(const Field& list) {
    std::vector<MergeTexts::Pair> merges;
    merges.reserve(list.value->size());
    for (size_t i = 0; i < list.value->size(); ++i) {
        const Field entry = list.at(i);
        if (entry.value->is_string()) {
            CONCLAVE_TRY(const std::string_view text, entry.asView());
            const size_t space = text.find(' ');
            if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos)
                return entry.bad("is not two tokens with one space between them");
            merges.emplace_back(text.substr(0, space), text.substr(space + 1));
            continue;
        }
        if (!entry.value->is_array() || entry.value->size() != 2)
            return entry.wrong("text or a pair of texts");
        CONCLAVE_TRY(const std::string_view left, entry.at(0).asView());
        CONCLAVE_TRY(const std::string_view right, entry.at(1).asView());
        merges.emplace_back(left, right);
    }
    const size_t count = merges.size();
    return MergeTexts{count, [merges = std::move(merges)](size_t i) { return merges[i]; }};
}

Result<void> readModel(const Field& model, TokenizerSpec& spec) {
    // The oldest files have no type; they are told apart by their merges.
    if (model.has("type") || !model.has("merges")) {
        CONCLAVE_TRY(const std::string type, model.text("type"));
        if (type != "BPE") return model.unsupported("model " + type, "BPE is, with merges");
    }
    for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
        if (!model.has(key)) continue;
        CONCLAVE_TRY(const std::string affix, model.text(key));
        if (!affix.empty()) return model.unsupported(std::string(key) + " " + affix, "an empty one is");
    }
    if (model.has("dropout") && *(*model.child("dropout")).value != json(0.0))
        return model.unsupported("dropout", "none is: the same text must give the same tokens");
    CONCLAVE_TRY(spec.byteFallback, model.flag("byte_fallback", false));
    CONCLAVE_TRY(spec.ignoreMerges, model.flag("ignore_merges", false));
    CONCLAVE_TRY(spec.fuseUnknown, model.flag("fuse_unk", false));
    return {};
}

Result<void> readAdded(const Field& document, Tokens& tokens, std::vector<AddedToken>& added) {
    if (!document.has("added_tokens")) return {};
    CONCLAVE_TRY(const Field list, document.array("added_tokens"));
    const auto limit = static_cast<int64_t>(tokens.texts.size() + list.value->size()) + kHolesAllowed;
    for (size_t i = 0; i < list.value->size(); ++i) {
        const Field entry = list.at(i);
        AddedToken token;
        CONCLAVE_TRY(const Field id, entry.child("id"));
        CONCLAVE_TRY(token.id, id.id());
        CONCLAVE_TRY(const Field content, entry.child("content"));
        CONCLAVE_TRY(const std::string_view text, content.asView());
        token.content = text;
        CONCLAVE_TRY(token.special, entry.flag("special", false));
        CONCLAVE_TRY(token.leftStrip, entry.flag("lstrip", false));
        CONCLAVE_TRY(token.rightStrip, entry.flag("rstrip", false));
        CONCLAVE_TRY(token.singleWord, entry.flag("single_word", false));
        CONCLAVE_TRY(token.normalized, entry.flag("normalized", !token.special));
        if (base::toInt(token.id) >= limit)
            return Error{Code::ValueOutOfRange,
                         *document.file,
                         id.path,
                         {std::to_string(base::toInt(token.id)),
                          "the vocabulary has only " + std::to_string(tokens.texts.size()) + " tokens"}};
        CONCLAVE_TRY_VOID(
            tokens.place(entry, token.id, text, token.special ? TokenKind::Control : TokenKind::UserDefined));
        added.push_back(std::move(token));
    }
    return {};
}

/// The id of a token named by its text: "<s>" or {"content": "<s>", …}.
Result<TokenId> namedToken(const Field& field, const TokenizerSpec& spec) {
    const Field* at = &field;
    Result<Field> inner = field;
    if (field.value->is_object()) {
        inner = field.child("content");
        if (!inner) return std::move(inner).error();
        at = &*inner;
    }
    CONCLAVE_TRY(const std::string text, at->asText());
    size_t id = 0;
    while (id < spec.tokens.size() && (text.empty() || spec.tokens[id] != text))
        ++id;
    if (id == spec.tokens.size()) return field.bad("\"" + text + "\" is not a token of the vocabulary");
    return TokenId{static_cast<int32_t>(id)};
}

/// tokenizer_config.json: which tokens begin and end a text. `legacy` and the class are not looked at:
/// tokenizer.json states the steps they stand for.
Result<void> readConfig(const Field& config, TokenizerSpec& spec) {
    if (!config.value->is_object()) return config.wrong("an object");
    if (config.has("bos_token")) {
        CONCLAVE_TRY(const Field bos, config.child("bos_token"));
        CONCLAVE_TRY(spec.bos, namedToken(bos, spec));
    }
    if (config.has("eos_token")) {
        CONCLAVE_TRY(const Field eos, config.child("eos_token"));
        CONCLAVE_TRY(spec.eos, namedToken(eos, spec));
    }
    CONCLAVE_TRY(spec.addBos, config.flag("add_bos_token", spec.addBos));
    CONCLAVE_TRY(spec.addEos, config.flag("add_eos_token", spec.addEos));
    if (spec.addBos && !spec.bos)
        return Error{Code::BadTokenizer, *config.file, "add_bos_token", {"there is no bos_token to add"}};
    if (spec.addEos && !spec.eos)
        return Error{Code::BadTokenizer, *config.file, "add_eos_token", {"there is no eos_token to add"}};
    return {};
}

Result<void> readParts(const Field& document, TokenizerSpec& spec) {
    if (document.has("normalizer"))
        CONCLAVE_TRY_VOID(readSteps(*document.child("normalizer"), "normalizers", kNormalizers,
                                    "NFC, Replace, Prepend and Sequence are", spec.normalizers));
    if (document.has("pre_tokenizer"))
        CONCLAVE_TRY_VOID(readSteps(*document.child("pre_tokenizer"), "pretokenizers", kPreTokenizers,
                                    kPreTokenizersKnown, spec.preTokenizers));
    const bool byteLevel =
        std::any_of(spec.preTokenizers.begin(), spec.preTokenizers.end(),
                    [](const auto& step) { return std::holds_alternative<ByteLevelStep>(step); });
    spec.model = byteLevel ? TokenizerModel::ByteLevelBpe : TokenizerModel::CharacterBpe;

    Decoder decoder;
    decoder.byteLevel = byteLevel;
    if (document.has("decoder"))
        CONCLAVE_TRY_VOID(
            readSteps(*document.child("decoder"), "decoders", kDecoders,
                      "ByteLevel, Metaspace, Replace, ByteFallback, Fuse, Strip and Sequence are", decoder));
    if (decoder.byteLevel != byteLevel)
        return Error{
            Code::UnsupportedTokenizer,
            spec.file,
            "decoder",
            {"ByteLevel in the decoder alone", "in the pre-tokenizer and the decoder together it is"}};
    spec.spaceMark = decoder.spaceMark;
    spec.stripLeadingSpace = decoder.stripLeading;
    spec.stripMarkOnly = decoder.stripMarkOnly;
    if (decoder.byteFallback || spec.byteFallback)
        for (size_t i = 0; i < spec.tokens.size(); ++i)
            if (spec.kinds[i] == TokenKind::Normal && byteOfToken(spec.tokens[i]))
                spec.kinds[i] = TokenKind::Byte;

    Template post;
    if (document.has("post_processor"))
        CONCLAVE_TRY_VOID(readSteps(*document.child("post_processor"), "processors", kPostProcessors,
                                    "TemplateProcessing, ByteLevel and Sequence are", post));
    spec.bos = post.before;
    spec.eos = post.after;
    spec.addBos = post.before.has_value();
    spec.addEos = post.after.has_value();
    return {};
}

}  // namespace

Result<TokenizerSpec> parseTokenizerJson(std::string_view text, const std::string& name,
                                         const std::optional<std::string>& configText) {
    CONCLAVE_TRY(const json document, parseStrictJson(text, name));
    TokenizerSpec spec;
    spec.file = name;
    spec.addSpacePrefix = false;
    const Field root{&document, "", &spec.file};
    CONCLAVE_TRY(const Field model, root.child("model"));
    CONCLAVE_TRY_VOID(readModel(model, spec));
    CONCLAVE_TRY(const Field vocab, model.child("vocab"));
    Tokens tokens;
    CONCLAVE_TRY_VOID(readVocabulary(vocab, tokens));
    CONCLAVE_TRY(const Field list, model.array("merges"));
    CONCLAVE_TRY(const MergeTexts merges, readMerges(list));
    CONCLAVE_TRY_VOID(readAdded(root, tokens, spec.added));
    for (const std::string_view token : tokens.texts)
        spec.tokens.push_back(token);
    spec.kinds = std::move(tokens.kinds);
    CONCLAVE_TRY_VOID(readParts(root, spec));
    for (const auto& id : {spec.bos, spec.eos})
        if (id && (static_cast<size_t>(base::toInt(*id)) >= spec.tokens.size()))
            return Error{
                Code::BadTokenizer, name, "post_processor", {"it adds a token that the vocabulary lacks"}};
    if (model.has("unk_token")) {
        CONCLAVE_TRY(const Field unknown, model.child("unk_token"));
        CONCLAVE_TRY(spec.unknown, namedToken(unknown, spec));
        spec.kinds[static_cast<size_t>(base::toInt(*spec.unknown))] = TokenKind::Unknown;
    }
    if (configText) {
        const std::string configName = "tokenizer_config.json";
        CONCLAVE_TRY(const json config, parseStrictJson(*configText, configName));
        CONCLAVE_TRY_VOID(readConfig({&config, "", &configName}, spec));
    }
    if (spec.eos) spec.endTokens.push_back(*spec.eos);
    CONCLAVE_TRY_VOID(checkTokenizer(spec, merges, {"model.vocab", "model.merges", "added_tokens"}));
    return spec;
}

Result<TokenizerSpec> readTokenizerJson(const std::string& path,
                                        const std::optional<std::string>& configPath) {
    CONCLAVE_TRY(const std::string text, platform::readTextFile(path));
    std::optional<std::string> config;
    if (configPath) {
        CONCLAVE_TRY(config, platform::readTextFile(*configPath));
    }
    return parseTokenizerJson(text, path, config);
}

}  // namespace conclave::engine::formats
