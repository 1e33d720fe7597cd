#include "engine/offline/import.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "engine/formats/gguf.h"
#include "engine/formats/hf_folder.h"
#include "engine/formats/tokenizer_spec.h"
#include "engine/offline/check.h"
#include "engine/offline/import_vocabulary.h"
#include "engine/text/tokenizer.h"

namespace conclave::engine::offline {
namespace {

namespace fs = std::filesystem;
using base::Code;
using quant::Format;

const std::string kFixtures = CONCLAVE_SOURCE_DIR "/tests/fixtures";

class Scratch {
  public:
    Scratch() {
        std::string pattern = (fs::temp_directory_path() / "conclave-import-XXXXXX").string();
        path_ = ::mkdtemp(pattern.data());
    }
    ~Scratch() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    std::string path(const std::string& name = "out.gguf") const { return path_ + "/" + name; }
    /// A copy of a fixture to change.
    std::string copy(const std::string& fixture) const {
        fs::copy(kFixtures + "/" + fixture, path("model"));
        return path("model");
    }
    size_t entries() const {
        return static_cast<size_t>(std::distance(fs::directory_iterator(path_), fs::directory_iterator()));
    }

  private:
    std::string path_;
};

std::string readFile(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

void writeFile(const std::string& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
}

base::Result<ImportReport> run(const std::string& source, const std::string& destination,
                               std::optional<Format> quant = {}) {
    return importModel({source, destination, quant}, {});
}

std::vector<float> decoded(const formats::TensorInfo& tensor) {
    const quant::FormatInfo& format = quant::info(tensor.format);
    const size_t blocks = tensor.bytes.size() / format.blockBytes;
    std::vector<float> out(blocks * format.blockValues);
    format.decode(tensor.bytes.data(), blocks, out.data());
    return out;
}

// --- the same model comes out

class ImportModel : public testing::TestWithParam<std::string> {};

TEST_P(ImportModel, AnswersAsItsGoldenFilesSay) {
    const Scratch scratch;
    const std::string source = kFixtures + "/" + GetParam();
    uint64_t last = 0, whole = 0;
    const auto report = importModel({source, scratch.path(), {}}, [&](uint64_t done, uint64_t total) {
        EXPECT_GE(done, last);
        last = done;
        whole = total;
    });
    ASSERT_TRUE(report.ok()) << render(report.error());
    EXPECT_GT(whole, 0u);
    EXPECT_EQ(last, whole);
    EXPECT_TRUE(report->fallbacks.empty());
    CheckOptions options;
    options.model = scratch.path();
    options.golden = source;
    const auto checked = check(options);
    ASSERT_TRUE(checked.ok()) << render(checked.error());
    EXPECT_TRUE(checked->pass) << toJson(*checked).dump();
    EXPECT_EQ(checked->tokensAgree, checked->tokensTotal);
}

std::string caseName(const testing::TestParamInfo<std::string>& info) {
    std::string name = fs::path(info.param).filename().string();
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
}

INSTANTIATE_TEST_SUITE_P(Models, ImportModel,
                         testing::Values("models/deepseek-v2-tiny", "models/deepseek-v3-fp8-tiny",
                                         "models/deepseek-v3-tiny", "models/llama-tiny",
                                         "models/mixtral-tiny", "models/olmoe-tiny", "models/qwen2-tiny",
                                         "models/qwen3-moe-tiny", "models-extra/llama-linear",
                                         "models-extra/mistral-window", "models-extra/qwen2-yarn",
                                         "models-extra/mixtral-window", "models-extra/olmoe-clip",
                                         "models-extra/qwen3-moe-sparse", "models-extra/deepseek-v2-greedy"),
                         caseName);

TEST(Import, TensorsAndKeysAreThoseOfAnotherConverter) {
    for (const auto& [folder, file] : {std::pair("deepseek-v3-tiny", "model-split-mla.gguf"),
                                       {"llama-tiny", "model.gguf"},
                                       {"mixtral-tiny", "model.gguf"}}) {
        const std::string source = kFixtures + "/models/" + folder;
        if (!fs::exists(source + "/" + file)) continue;
        const Scratch scratch;
        ASSERT_TRUE(run(source, scratch.path()).ok());
        const auto ours = formats::GgufFile::open(scratch.path()),
                   theirs = formats::GgufFile::open(source + "/" + file);
        ASSERT_TRUE(ours.ok());
        ASSERT_TRUE(theirs.ok());
        EXPECT_EQ(ours->tensors().all().size(), theirs->tensors().all().size());
        for (const formats::TensorInfo& tensor : theirs->tensors().all()) {
            const formats::TensorInfo* found = ours->tensors().find(tensor.name);
            ASSERT_NE(found, nullptr) << tensor.name;
            EXPECT_EQ(found->shape, tensor.shape) << tensor.name;
            EXPECT_EQ(decoded(*found), decoded(tensor)) << tensor.name;
        }
        for (const auto& [key, value] : theirs->metadata()) {
            if (key == "general.name" || key == "general.alignment") continue;
            ASSERT_TRUE(ours->has(key)) << key;
            EXPECT_EQ(ours->metadata().find(key)->second, value) << key;
        }
        EXPECT_EQ(ours->number("general.sampling.temp").value(), static_cast<double>(0.7f));
        EXPECT_EQ(ours->number("general.sampling.top_p").value(), static_cast<double>(0.95f));
    }
}

TEST(Import, CarriesThePenaltyOfTheWholeText) {
    const Scratch scratch;
    const std::string source = scratch.copy("models/llama-tiny");
    writeFile(source + "/generation_config.json",
              R"({"do_sample": true, "temperature": 0.5, "repetition_penalty": 1.25})");
    ASSERT_TRUE(run(source, scratch.path()).ok());
    const auto file = formats::GgufFile::open(scratch.path());
    ASSERT_TRUE(file.ok());
    EXPECT_EQ(file->number("general.sampling.temp").value(), 0.5);
    EXPECT_EQ(file->number("general.sampling.penalty_repeat").value(), 1.25);
    EXPECT_EQ(file->number("general.sampling.penalty_last_n").value(), -1.0);
}

// --- formats

TEST(Import, QuantisesMatricesAndListsWhatDoesNotFit) {
    const std::string source = kFixtures + "/models/deepseek-v3-tiny";
    const Scratch scratch;
    const auto plain = run(source, scratch.path("plain.gguf"));
    ASSERT_TRUE(plain.ok());
    const auto full = formats::GgufFile::open(scratch.path("plain.gguf"));
    for (const Format wanted : {Format::Q8_0, Format::Q4_0, Format::BF16, Format::F16}) {
        const auto report = run(source, scratch.path(), wanted);
        ASSERT_TRUE(report.ok()) << render(report.error());
        const auto file = formats::GgufFile::open(scratch.path());
        ASSERT_TRUE(file.ok()) << render(file.error());
        std::vector<std::string> fallbacks;
        for (const formats::TensorInfo& tensor : file->tensors().all()) {
            const bool small =
                tensor.shape.size() == 1 || tensor.name.find("ffn_gate_inp") != std::string::npos;
            const bool divides = tensor.shape.back() % quant::info(wanted).blockValues == 0;
            Format expected = small ? Format::F32 : divides ? wanted : Format::F16;
            if (tensor.name == "output.weight" && wanted == Format::Q4_0) expected = Format::Q8_0;
            EXPECT_EQ(tensor.format, expected) << tensor.name;
            if (!small && !divides) fallbacks.push_back(tensor.name);
            const std::vector<float> values = decoded(*full->tensors().find(tensor.name));
            std::vector<std::byte> encoded(tensor.bytes.size());
            const quant::FormatInfo& format = quant::info(tensor.format);
            format.encode(values.data(), values.size() / format.blockValues, encoded.data());
            EXPECT_TRUE(std::equal(encoded.begin(), encoded.end(), tensor.bytes.begin())) << tensor.name;
        }
        EXPECT_EQ(report->fallbacks, fallbacks);
        EXPECT_EQ(fallbacks.empty(), quant::info(wanted).blockValues == 1);
        EXPECT_EQ(report->tensors, file->tensors().all().size());
        EXPECT_EQ(report->bytes, file->tensors().totalBytes());
    }
    EXPECT_EQ(run(source, scratch.path(), Format::Q4_K).error().code, Code::BadArgument);
    EXPECT_EQ(importFormats(), (std::vector<std::string>{"q8_0", "q4_0", "bf16", "f16", "f32"}));
}

TEST(Import, AWeightBeyondF16IsAnErrorAndNotInfinity) {
    const Scratch scratch;
    const std::string model = scratch.copy("models/llama-tiny");
    std::string bytes = readFile(model + "/model.safetensors");
    uint64_t header;
    std::memcpy(&header, bytes.data(), sizeof header);
    const auto folder = formats::openHfFolder(model, formats::Weights::WithWeights);
    ASSERT_TRUE(folder.ok());
    const formats::TensorInfo* tensor = folder->tensors.find("model.layers.1.mlp.up_proj.weight");
    ASSERT_NE(tensor, nullptr);
    const auto first = folder->tensors.all().front().bytes.data();
    const float big = 1e6f;
    std::memcpy(bytes.data() + 8 + header + (tensor->bytes.data() - first), &big, sizeof big);
    const std::string changed = model + "/changed";
    writeFile(changed, bytes);
    fs::rename(changed, model + "/model.safetensors");
    const auto report = run(model, scratch.path(), Format::F16);
    ASSERT_FALSE(report.ok());
    EXPECT_EQ(report.error().code, Code::ValueOutOfRange);
    EXPECT_NE(render(report.error()).find("model.layers.1.mlp.up_proj.weight"), std::string::npos);
    EXPECT_FALSE(fs::exists(scratch.path()));
    EXPECT_EQ(scratch.entries(), 1u);
    EXPECT_TRUE(run(model, scratch.path(), Format::BF16).ok());
}

// --- what is wrong

TEST(Import, OnlyAGgufIsReplaced) {
    const std::string source = kFixtures + "/models/llama-tiny";
    const Scratch scratch;
    writeFile(scratch.path("letter.txt"), "Dear");
    EXPECT_EQ(run(source, scratch.path("letter.txt")).error().code, Code::BadArgument);
    EXPECT_EQ(readFile(scratch.path("letter.txt")), "Dear");
    EXPECT_EQ(run(source, scratch.path("")).error().code, Code::BadArgument);
    EXPECT_EQ(run(source, "/dev/null").error().code, Code::BadArgument);
    EXPECT_EQ(run(source, scratch.path("none/at/all.gguf")).error().code, Code::FileWriteFailed);
    ASSERT_TRUE(run(source, scratch.path()).ok());
    EXPECT_TRUE(run(source, scratch.path(), Format::Q8_0).ok());
    EXPECT_EQ(scratch.entries(), 2u);
}

TEST(Import, SourcesThatAreWrong) {
    const Scratch scratch;
    EXPECT_EQ(run(scratch.path("none"), scratch.path()).error().code, Code::FileNotFound);
    EXPECT_EQ(run(kFixtures + "/models", scratch.path()).error().code, Code::NotAModelFolder);
    const std::string model = scratch.copy("models/llama-tiny");
    const std::string config = readFile(model + "/config.json"),
                      tokenizer = readFile(model + "/tokenizer.json");
    const auto with = [&](std::string text, const std::string& from, const std::string& to) {
        const size_t at = text.find(from);
        EXPECT_NE(at, std::string::npos) << from;
        return text.replace(at, from.size(), to);
    };
    writeFile(model + "/config.json", with(config, "\"llama\"", "\"mamba\""));
    EXPECT_EQ(run(model, scratch.path()).error().code, Code::UnknownArchitecture);
    writeFile(model + "/config.json", with(config, "\"hidden_size\": 64", "\"hidden_size\": 128"));
    EXPECT_EQ(run(model, scratch.path()).error().code, Code::TensorShape);
    writeFile(model + "/config.json", with(config, "\"num_hidden_layers\": 3", "\"num_hidden_layers\": 4"));
    EXPECT_EQ(run(model, scratch.path()).error().code, Code::MissingTensor);
    writeFile(model + "/config.json", with(config, "\"num_hidden_layers\": 3", "\"num_hidden_layers\": 2"));
    EXPECT_EQ(run(model, scratch.path()).error().code, Code::UnusedTensor);
    writeFile(model + "/config.json", config);
    writeFile(model + "/tokenizer.json", with(tokenizer, "\\\\p{N}{1,3}", "\\\\p{N}{1,7}"));
    const auto unknown = run(model, scratch.path());
    ASSERT_FALSE(unknown.ok());
    EXPECT_EQ(unknown.error().code, Code::UnknownPreTokenizer);
    EXPECT_NE(render(unknown.error()).find("deepseek-v3"), std::string::npos);
    fs::remove(model + "/tokenizer.json");
    EXPECT_EQ(run(model, scratch.path()).error().code, Code::FileNotFound);
    EXPECT_FALSE(fs::exists(scratch.path()));
}

TEST(Import, WhatGgufCannotSayIsRefused) {
    const Scratch scratch;
    for (const char* model : {"models-extra/llama-yarn-parameters", "models-extra/qwen2-window"})
        EXPECT_EQ(run(kFixtures + "/" + model, scratch.path()).error().code, Code::UnsupportedOption)
            << model;
}

// --- vocabularies

/// A SentencePiece-like vocabulary: specials, bytes, characters, then tokens made of pairs, as Llama 2's
/// converter numbers them.
struct Vocabulary {
    std::vector<std::string> tokens{"<unk>", "<s>", "</s>"};
    nlohmann::json merges = nlohmann::json::array();

    Vocabulary() {
        for (int i = 0; i < 256; ++i) {
            char text[8];
            std::snprintf(text, sizeof text, "<0x%02X>", static_cast<unsigned>(i));
            tokens.emplace_back(text);
        }
        const std::string mark = "\xE2\x96\x81";
        for (const std::string& token :
             {mark, std::string("a"), std::string("b"), std::string("c"), std::string("\xC3\xA9")})
            tokens.push_back(token);
        for (const std::string& token : {mark + "a", std::string("ab"), std::string("bc"), mark + "ab",
                                         std::string("abc"), mark + mark, std::string("aa"), mark + "abc"})
            add(token);
    }

    /// A new best-ranked token and every pair of known ones that spells it, as the tokenizers library lists
    /// them.
    void add(const std::string& token) {
        for (size_t at = 1; at < token.size(); ++at) {
            const std::string left = token.substr(0, at), right = token.substr(at);
            if (std::count(tokens.begin(), tokens.end(), left) &&
                std::count(tokens.begin(), tokens.end(), right))
                merges.push_back({left, right});
        }
        tokens.push_back(token);
    }

    std::string json(bool prefix) const {
        nlohmann::json vocabulary, normalizers = nlohmann::json::array();
        for (size_t i = 0; i < tokens.size(); ++i)
            vocabulary[tokens[i]] = i;
        if (prefix) normalizers.push_back({{"type", "Prepend"}, {"prepend", "\xE2\x96\x81"}});
        normalizers.push_back(
            {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "\xE2\x96\x81"}});
        nlohmann::json added = nlohmann::json::array();
        for (int i = 0; i < 3; ++i)
            added.push_back({{"id", i},
                             {"content", tokens[static_cast<size_t>(i)]},
                             {"single_word", false},
                             {"lstrip", false},
                             {"rstrip", false},
                             {"normalized", false},
                             {"special", true}});
        return nlohmann::json{{"version", "1.0"},
                              {"added_tokens", added},
                              {"normalizer", {{"type", "Sequence"}, {"normalizers", normalizers}}},
                              {"pre_tokenizer", nullptr},
                              {"post_processor", nullptr},
                              {"decoder", nullptr},
                              {"model",
                               {{"type", "BPE"},
                                {"unk_token", "<unk>"},
                                {"fuse_unk", true},
                                {"byte_fallback", true},
                                {"vocab", vocabulary},
                                {"merges", merges}}}}
            .dump();
    }
};

TEST(ImportVocabulary, MergingByScoreDoesWhatMergingByRankDid) {
    for (const bool prefix : {true, false}) {
        auto spec = formats::parseTokenizerJson(Vocabulary().json(prefix), "tokenizer.json", std::nullopt);
        ASSERT_TRUE(spec.ok()) << render(spec.error());
        std::vector<std::string> warnings;
        formats::HfFolder folder;
        folder.path = "folder";
        folder.config = nlohmann::json::object();
        const auto keys =
            vocabularyKeys(folder, *spec, static_cast<uint32_t>(spec->tokens.size()) + 5, warnings);
        ASSERT_TRUE(keys.ok()) << render(keys.error());
        const Scratch scratch;
        ASSERT_TRUE(formats::writeGguf(scratch.path(), *keys, {}, {}).ok());
        const auto file = formats::GgufFile::open(scratch.path());
        ASSERT_TRUE(file.ok());
        EXPECT_EQ(file->text("tokenizer.ggml.model").value(), "llama");
        EXPECT_EQ(file->boolean("tokenizer.ggml.add_space_prefix").value(), prefix);
        EXPECT_EQ(file->texts("tokenizer.ggml.tokens").value()->size(), spec->tokens.size() + 5);
        auto back = formats::readGgufVocabulary(*file);
        ASSERT_TRUE(back.ok()) << render(back.error());
        const auto byRank = text::Tokenizer::make(*spec), byScore = text::Tokenizer::make(*back);
        ASSERT_TRUE(byRank.ok()) << render(byRank.error());
        ASSERT_TRUE(byScore.ok()) << render(byScore.error());
        std::mt19937 random(7);
        const std::vector<std::string> letters{"a", "b", "c", " ", "\xC3\xA9", "x", "\n"};
        for (int round = 0; round < 500; ++round) {
            std::string words;
            for (size_t i = 0; i < random() % 24; ++i)
                words += letters[random() % letters.size()];
            const auto a = byRank->encode(words, false, text::AddBos::No),
                       b = byScore->encode(words, false, text::AddBos::No);
            ASSERT_TRUE(a.ok() && b.ok());
            EXPECT_EQ(*a, *b) << words;
        }
    }
}

TEST(ImportVocabulary, MergesThatNoScoreCanOrderAreRefused) {
    auto spec = formats::parseTokenizerJson(Vocabulary().json(true), "tokenizer.json", std::nullopt);
    ASSERT_TRUE(spec.ok());
    EXPECT_TRUE(scoresOf(*spec).ok());
    // A pair that spells a token but does not merge would merge by score.
    auto fewer = *spec;
    fewer.merges.pop_back();
    EXPECT_EQ(scoresOf(fewer).error().code, Code::UnsupportedTokenizer);
    // The pairs of one token apart from each other.
    auto apart = *spec;
    const auto first =
        std::find_if(apart.merges.begin(), apart.merges.end(), [&](const formats::Merge& merge) {
            return apart.tokens[static_cast<size_t>(toInt(merge.joined))] == "abc";
        });
    ASSERT_NE(first, apart.merges.end());
    std::rotate(first, first + 1, apart.merges.end());
    EXPECT_EQ(scoresOf(apart).error().code, Code::UnsupportedTokenizer);
}

TEST(ImportVocabulary, MoreTokensThanRowsIsAMismatch) {
    auto spec = formats::parseTokenizerJson(Vocabulary().json(true), "tokenizer.json", std::nullopt);
    ASSERT_TRUE(spec.ok());
    formats::HfFolder folder;
    folder.config = nlohmann::json::object();
    std::vector<std::string> warnings;
    EXPECT_EQ(vocabularyKeys(folder, *spec, 10, warnings).error().code, Code::VocabularyMismatch);
}

TEST(ImportVocabulary, EveryEndTokenGetsAKeyOrAWarning) {
    auto spec = formats::parseTokenizerJson(Vocabulary().json(true), "tokenizer.json", std::nullopt);
    ASSERT_TRUE(spec.ok());
    formats::HfFolder folder;
    folder.path = "folder";
    folder.config = nlohmann::json::parse(R"({"eos_token_id":[2,260],"bos_token_id":1,"pad_token_id":-1})");
    folder.generationConfig = nlohmann::json::parse(R"({"eos_token_id":[260,261,262]})");
    std::vector<std::string> warnings;
    const auto keys = vocabularyKeys(folder, *spec, static_cast<uint32_t>(spec->tokens.size()), warnings);
    ASSERT_TRUE(keys.ok());
    const Scratch scratch;
    ASSERT_TRUE(formats::writeGguf(scratch.path(), *keys, {}, {}).ok());
    const auto file = formats::GgufFile::open(scratch.path());
    EXPECT_EQ(file->unsignedInt("tokenizer.ggml.bos_token_id").value(), 1u);
    EXPECT_EQ(file->unsignedInt("tokenizer.ggml.eos_token_id").value(), 2u);
    EXPECT_EQ(file->unsignedInt("tokenizer.ggml.eot_token_id").value(), 260u);
    EXPECT_EQ(file->unsignedInt("tokenizer.ggml.eom_token_id").value(), 261u);
    EXPECT_FALSE(file->has("tokenizer.ggml.padding_token_id"));
    ASSERT_EQ(warnings.size(), 1u);
    EXPECT_NE(warnings[0].find("262"), std::string::npos);
    folder.config = nlohmann::json::parse(R"({"eos_token_id":"</s>"})");
    EXPECT_EQ(vocabularyKeys(folder, *spec, 400, warnings).error().code, Code::WrongType);
}

}  // namespace
}  // namespace conclave::engine::offline
