#include "engine/library/parts.h"

#include <sys/stat.h>

#include "tests/engine/library/folder.h"

namespace conclave::engine::library {
namespace {

using base::Code;
using base::TokenId;
using testing::mentions;
using testing::TestFolder;

Code codeOf(const std::string& path) {
    const auto parts = openParts(path);
    return parts.ok() ? Code::Internal : parts.error().code;
}

TEST(OpenParts, ReadsAFolder) {
    const auto parts = openParts(TestFolder::fixturePath("llama-tiny"));
    ASSERT_TRUE(parts.ok()) << base::render(parts.error());
    EXPECT_FALSE(parts->isGguf);
    EXPECT_EQ(parts->tokenizer->size(), 512u);
    EXPECT_TRUE(parts->chatTemplate);
    EXPECT_FALSE(parts->templateError);
    EXPECT_EQ(parts->bosText, "<｜begin▁of▁sentence｜>");
    EXPECT_EQ(parts->eosText, "<｜end▁of▁sentence｜>");
    EXPECT_EQ(parts->endTokens, (std::vector<TokenId>{TokenId{506}}));
    EXPECT_FLOAT_EQ(parts->defaults.temperature.value(), 0.7f);
    EXPECT_TRUE(parts->warnings.empty());
}

TEST(OpenParts, AGgufSaysTheSame) {
    const auto folder = openParts(TestFolder::fixturePath("llama-tiny"));
    const auto file = openParts(TestFolder::fixturePath("llama-tiny/model.gguf"));
    ASSERT_TRUE(folder.ok() && file.ok());
    EXPECT_TRUE(file->isGguf);
    EXPECT_EQ(file->tokenizer->size(), folder->tokenizer->size());
    EXPECT_EQ(file->bosText, folder->bosText);
    EXPECT_EQ(file->eosText, folder->eosText);
    EXPECT_EQ(file->endTokens, folder->endTokens);
    EXPECT_EQ(file->chatTemplate != nullptr, folder->chatTemplate != nullptr);
}

TEST(OpenParts, TheStarterAnswersTheSameEveryTime) {
    const auto parts = openParts(CONCLAVE_SOURCE_DIR "/resources/models/starter");
    ASSERT_TRUE(parts.ok()) << base::render(parts.error());
    EXPECT_EQ(parts->defaults.temperature, 0.0f);
    EXPECT_EQ(parts->defaults.maxTokens, 256u);
    EXPECT_EQ(parts->endTokens, (std::vector<TokenId>{TokenId{4089}}));
}

TEST(OpenParts, EndTokensAreTheUnionOfAllFiles) {
    const TestFolder folder;
    const std::string path = folder.copyModel("llama-tiny", "m");
    folder.edit("m/config.json", [](auto& config) { config["eos_token_id"] = {3, 506}; });
    folder.edit("m/generation_config.json", [](auto& config) { config["eos_token_id"] = {5, -1, 100'000}; });
    const auto parts = openParts(path);
    ASSERT_TRUE(parts.ok()) << base::render(parts.error());
    EXPECT_EQ(parts->endTokens, (std::vector<TokenId>{TokenId{3}, TokenId{5}, TokenId{506}}));
    EXPECT_TRUE(mentions(parts->warnings, "-1 is outside"));
    EXPECT_TRUE(mentions(parts->warnings, "100000 is outside"));
}

TEST(OpenParts, ABrokenTemplateDoesNotStandInTheWay) {
    const TestFolder folder;
    const std::string path = folder.copyModel("llama-tiny", "m");
    folder.write("m/chat_template.jinja", "hello\n{% if %}");
    const auto parts = openParts(path);
    ASSERT_TRUE(parts.ok()) << base::render(parts.error());
    EXPECT_FALSE(parts->chatTemplate);
    ASSERT_TRUE(parts->templateError);
    EXPECT_EQ(parts->templateError->code, Code::TemplateSyntax);
    EXPECT_TRUE(mentions(parts->warnings, "chat template, line 2"));
}

TEST(OpenParts, AModelWithoutATemplateHasNoError) {
    const TestFolder folder;
    const std::string path = folder.copyModel("llama-tiny", "m");
    folder.edit("m/tokenizer_config.json", [](auto& config) { config.erase("chat_template"); });
    const auto parts = openParts(path);
    ASSERT_TRUE(parts.ok());
    EXPECT_FALSE(parts->chatTemplate);
    EXPECT_FALSE(parts->templateError);
    EXPECT_TRUE(parts->warnings.empty());
}

TEST(OpenParts, MoreTokensThanEmbeddingRowsIsAnError) {
    const TestFolder folder;
    const std::string path = folder.copyModel("llama-tiny", "m");
    folder.edit("m/config.json", [](auto& config) { config["vocab_size"] = 511; });
    const auto parts = openParts(path);
    ASSERT_FALSE(parts.ok());
    EXPECT_EQ(parts.error().code, Code::VocabularyMismatch);
    EXPECT_NE(base::render(parts.error()).find("512 tokens but the model only 511"), std::string::npos);
}

TEST(OpenParts, RefusesWhatIsNoModel) {
    const TestFolder folder;
    EXPECT_EQ(codeOf(folder.at("nothing")), Code::FileNotFound);
    EXPECT_EQ(codeOf("/dev/null"), Code::FileNotRegular);
    ASSERT_EQ(::mkfifo(folder.at("pipe").c_str(), 0600), 0);
    EXPECT_EQ(codeOf(folder.at("pipe")), Code::FileNotRegular);
    std::filesystem::create_directory(folder.at("empty"));
    EXPECT_EQ(codeOf(folder.at("empty")), Code::NotAModelFolder);
    EXPECT_EQ(codeOf(folder.write("text.gguf", "this is no model")), Code::NotGguf);
    EXPECT_EQ(codeOf(folder.write("empty.gguf", "")), Code::FileEmpty);
    EXPECT_EQ(codeOf(TestFolder::fixturePath("llama-tiny/model.safetensors")), Code::BadArgument);
}

TEST(OpenParts, SaysWhatATokenizerLacks) {
    const TestFolder folder;
    const std::string path = folder.copyModel("llama-tiny", "m");
    std::filesystem::remove(folder.at("m/tokenizer.json"));
    EXPECT_EQ(codeOf(path), Code::FileNotFound);
    folder.write("m/tokenizer.model", "x");
    EXPECT_EQ(codeOf(path), Code::UnsupportedTokenizer);
    folder.write("m/tokenizer.json", "{");
    EXPECT_EQ(codeOf(path), Code::InvalidJson);
}

TEST(OpenModel, KnowsTheFilesThatMakeTheModel) {
    const std::string path = TestFolder::fixturePath("llama-tiny");
    const auto opened = openModel(path, formats::Weights::WithWeights);
    ASSERT_TRUE(opened.ok()) << base::render(opened.error());
    std::vector<std::string> names;
    for (const std::string& file : opened->files()) {
        EXPECT_TRUE(file.starts_with(path)) << file;
        names.push_back(file.substr(path.size() + 1));
    }
    EXPECT_EQ(names, (std::vector<std::string>{"config.json", "generation_config.json", "model.safetensors",
                                               "tokenizer.json", "tokenizer_config.json"}));
    const auto gguf = openModel(path + "/model.gguf", formats::Weights::WithWeights);
    ASSERT_TRUE(gguf.ok());
    EXPECT_EQ(gguf->files(), (std::vector<std::string>{path + "/model.gguf"}));
}

}  // namespace
}  // namespace conclave::engine::library
