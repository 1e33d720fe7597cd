#include "engine/library/parts.h"

#include <set>
#include <utility>

#include "engine/library/defaults.h"
#include "engine/platform/clock.h"
#include "engine/platform/file.h"
#include "engine/synth/synth.h"

namespace conclave::engine::library {
namespace {

using base::Code;
using base::Error;
using base::Result;

// What lies beside the weights of a Hugging Face folder and counts as part of the model.
constexpr const char* kFolderFiles[] = {"config.json",
                                        "generation_config.json",
                                        "tokenizer.json",
                                        "tokenizer_config.json",
                                        "chat_template.jinja",
                                        "chat_template.json",
                                        "model.safetensors.index.json"};

Result<formats::TokenizerSpec> readVocabulary(const formats::HfFolder& folder) {
    if (folder.tokenizerPath.empty()) {
        if (platform::pathKind(folder.path + "/tokenizer.model") == platform::PathKind::Regular)
            return Error{Code::UnsupportedTokenizer,
                         folder.path,
                         "tokenizer.model",
                         {"a SentencePiece model without a tokenizer.json",
                          "save the tokenizer with transformers, which writes one"}};
        return Error{Code::FileNotFound, folder.path + "/tokenizer.json", {}, {}};
    }
    std::optional<std::string> config;
    if (folder.tokenizerConfig) config = folder.path + "/tokenizer_config.json";
    return formats::readTokenizerJson(folder.tokenizerPath, config);
}

/// How many embedding rows the files promise; nothing where they do not say (a vocabulary-only GGUF).
std::optional<uint64_t> embeddingRows(const formats::HfFolder& folder) {
    const auto size = folder.config.find("vocab_size");
    if (size == folder.config.end() || !size->is_number_unsigned()) return std::nullopt;
    return size->get<uint64_t>();
}

std::optional<uint64_t> embeddingRows(const formats::GgufFile& file) {
    const formats::TensorInfo* embedding = file.tensors().find("token_embd.weight");
    if (embedding == nullptr || embedding->shape.size() != 2) return std::nullopt;
    return embedding->shape[0];
}

Result<void> checkVocabulary(const std::string& path, size_t tokens, std::optional<uint64_t> rows) {
    if (rows && tokens > *rows)
        return Error{Code::VocabularyMismatch, path, {}, {std::to_string(tokens), std::to_string(*rows)}};
    return {};
}

void takeTemplate(const std::optional<std::string>& source, ModelParts& parts) {
    if (!source) return;
    auto parsed = text::ChatTemplate::parse(*source);
    if (parsed.ok()) {
        parts.chatTemplate = std::make_shared<const text::ChatTemplate>(std::move(parsed).value());
        return;
    }
    Error error = std::move(parsed).error();
    if (error.file.empty()) error.file = parts.path;
    parts.warnings.push_back(base::render(error) + "; the model is used without it and cannot chat");
    parts.templateError = std::move(error);
}

/// Joins the end tokens of the vocabulary and those the other files name.
void takeAdvice(Advice advice, ModelParts& parts) {
    const formats::TokenizerSpec& spec = parts.tokenizer->spec();
    std::set<base::TokenId> ends(spec.endTokens.begin(), spec.endTokens.end());
    if (spec.eos) ends.insert(*spec.eos);
    parts.warnings.insert(parts.warnings.end(), advice.warnings.begin(), advice.warnings.end());
    for (int64_t id : advice.endTokens) {
        if (id >= 0 && static_cast<uint64_t>(id) < parts.tokenizer->size())
            ends.insert(base::TokenId{static_cast<int32_t>(id)});
        else
            parts.warnings.push_back(parts.path + ": eos_token_id: " + std::to_string(id) +
                                     " is outside the vocabulary and is left out");
    }
    parts.endTokens.assign(ends.begin(), ends.end());
    parts.defaults = advice.defaults;
}

Result<ModelParts> readParts(const std::string& path, formats::TokenizerSpec spec,
                             std::optional<uint64_t> rows, const std::optional<std::string>& chatTemplate,
                             Advice advice) {
    ModelParts parts;
    parts.path = path;
    const std::optional<base::TokenId> bos = spec.bos, eos = spec.eos;
    CONCLAVE_TRY_VOID(checkVocabulary(path, spec.tokens.size(), rows));
    CONCLAVE_TRY(text::Tokenizer tokenizer, text::Tokenizer::make(std::move(spec)));
    parts.tokenizer = std::make_shared<const text::Tokenizer>(std::move(tokenizer));
    if (bos) parts.bosText = parts.tokenizer->bytes(*bos);
    if (eos) parts.eosText = parts.tokenizer->bytes(*eos);
    takeTemplate(chatTemplate, parts);
    takeAdvice(std::move(advice), parts);
    return parts;
}

Result<OpenedModel> openFolder(const std::string& path, formats::Weights weights) {
    CONCLAVE_TRY(formats::HfFolder folder, formats::openHfFolder(path, weights));
    CONCLAVE_TRY(formats::TokenizerSpec spec, readVocabulary(folder));
    CONCLAVE_TRY(ModelParts parts, readParts(path, std::move(spec), embeddingRows(folder),
                                             folder.chatTemplate, adviceOf(folder)));
    return OpenedModel{std::move(folder), std::move(parts)};
}

Result<OpenedModel> openGguf(const std::string& path) {
    CONCLAVE_TRY(formats::GgufFile file, synth::openGguf(path));
    CONCLAVE_TRY(formats::TokenizerSpec spec, formats::readGgufVocabulary(file));
    const std::optional<std::string> chatTemplate = spec.chatTemplate;
    CONCLAVE_TRY(ModelParts parts,
                 readParts(path, std::move(spec), embeddingRows(file), chatTemplate, adviceOf(file)));
    parts.isGguf = true;
    return OpenedModel{std::move(file), std::move(parts)};
}

}  // namespace

const formats::TensorDirectory& OpenedModel::tensors() const {
    if (const auto* folder = std::get_if<formats::HfFolder>(&source)) return folder->tensors;
    return std::get<formats::GgufFile>(source).tensors();
}

std::vector<std::string> OpenedModel::files() const {
    std::set<std::string> out;
    for (const platform::MappedFile& file : tensors().files())
        out.insert(file.path());
    if (!parts.isGguf)
        for (const char* name : kFolderFiles)
            if (const std::string path = parts.path + "/" + name;
                platform::pathKind(path) == platform::PathKind::Regular)
                out.insert(path);
    return {out.begin(), out.end()};
}

Result<OpenedModel> openModel(const std::string& path, formats::Weights weights) {
    if (synth::isSpec(path)) return openGguf(path);
    if (platform::pathKind(path) == platform::PathKind::Folder) return openFolder(path, weights);
    if (path.ends_with(".safetensors") || path.ends_with("/config.json"))
        return Error{
            Code::BadArgument, {}, path, {"is one file of a Hugging Face model; give the folder it lies in"}};
    return openGguf(path);
}

Result<ModelParts> openParts(const std::string& path) {
    CONCLAVE_TRY(OpenedModel opened, openModel(path, formats::Weights::WithoutWeights));
    return std::move(opened.parts);
}

Result<LoadedModel> loadOpened(OpenedModel opened, const std::string& name, std::string contentHash,
                               const model::LoadOptions& options) {
    LoadedModel out;
    CONCLAVE_TRY(out.model, std::visit([&](const auto& source) { return model::loadModel(source, options); },
                                       opened.source));
    ModelParts& parts = opened.parts;
    CONCLAVE_TRY_VOID(checkVocabulary(parts.path, parts.tokenizer->size(), out.model->config.vocabulary));
    if (!opened.tensors().unchanged()) return Error{Code::FileChanged, parts.path, {}, {}};
    out.name = name;
    out.path = std::move(parts.path);
    out.contentId = name + "@" + std::move(contentHash);
    out.tokenizer = std::move(parts.tokenizer);
    out.chatTemplate = std::move(parts.chatTemplate);
    out.templateError = std::move(parts.templateError);
    out.bosText = std::move(parts.bosText);
    out.eosText = std::move(parts.eosText);
    out.defaults = parts.defaults;
    out.endTokens = std::move(parts.endTokens);
    out.warnings = std::move(parts.warnings);
    const std::vector<std::string>& more = out.model->config.warnings;
    out.warnings.insert(out.warnings.end(), more.begin(), more.end());
    out.loadedAtUnix = platform::unixNow();
    return out;
}

}  // namespace conclave::engine::library
