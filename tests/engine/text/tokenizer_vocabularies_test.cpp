// Real vocabularies against recorded ids, and the models' own golden prompts.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/formats/gguf.h"
#include "engine/text/tokenizer.h"

namespace conclave::engine::text {
namespace {

namespace fs = std::filesystem;

const fs::path kShared = CONCLAVE_SOURCE_DIR "/../shared";
const fs::path kFixtures = CONCLAVE_SOURCE_DIR "/tests/fixtures";

std::string readAll(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

Tokenizer tokenizerOfGguf(const fs::path& path) {
    auto file = formats::GgufFile::open(path.string());
    EXPECT_TRUE(file.ok()) << base::render(file.error());
    auto spec = formats::readGgufVocabulary(*file);
    EXPECT_TRUE(spec.ok()) << base::render(spec.error());
    auto tokenizer = Tokenizer::make(std::move(spec).value());
    EXPECT_TRUE(tokenizer.ok()) << base::render(tokenizer.error());
    return std::move(tokenizer).value();
}

Tokenizer tokenizerOfFolder(const fs::path& folder) {
    auto spec = formats::readTokenizerJson((folder / "tokenizer.json").string(),
                                           (folder / "tokenizer_config.json").string());
    EXPECT_TRUE(spec.ok()) << base::render(spec.error());
    auto tokenizer = Tokenizer::make(std::move(spec).value());
    EXPECT_TRUE(tokenizer.ok()) << base::render(tokenizer.error());
    return std::move(tokenizer).value();
}

std::vector<int> ints(const std::vector<base::TokenId>& ids) {
    std::vector<int> out;
    for (const auto id : ids)
        out.push_back(base::toInt(id));
    return out;
}

class Vocabulary : public testing::TestWithParam<const char*> {};

TEST_P(Vocabulary, GivesTheRecordedIds) {
    const fs::path gguf = kShared / "tokenizers" / (std::string(GetParam()) + ".gguf");
    if (!fs::exists(gguf)) GTEST_SKIP() << gguf << " is not here";
    const Tokenizer tokenizer = tokenizerOfGguf(gguf);
    const std::string inputs = readAll(gguf.string() + ".inp");
    std::istringstream expected(readAll(gguf.string() + ".out"));
    const std::string mark = "\n__ggml_vocab_test__\n";
    std::string line;
    size_t cases = 0;
    for (size_t at = 0; at <= inputs.size() && std::getline(expected, line); ++cases) {
        const size_t end = std::min(inputs.find(mark, at), inputs.size());
        const std::string text = inputs.substr(at, end - at);
        at = end + mark.size();
        std::istringstream numbers(line);
        std::vector<int> want;
        for (int id = 0; numbers >> id;)
            want.push_back(id);
        const auto ids = tokenizer.encode(text, false, AddBos::No);
        ASSERT_TRUE(ids.ok());
        EXPECT_EQ(ints(*ids), want) << "case " << cases << ": " << text;
        const auto back = tokenizer.decode(*ids, false);
        ASSERT_TRUE(back.ok());
        EXPECT_EQ(*back, text) << "case " << cases;
    }
    EXPECT_GE(cases, 40u);
}

INSTANTIATE_TEST_SUITE_P(All, Vocabulary,
                         testing::Values("gpt-2", "deepseek-coder", "deepseek-llm", "llama-spm"),
                         [](const auto& info) {
                             std::string name = info.param;
                             std::replace(name.begin(), name.end(), '-', '_');
                             return name;
                         });

void expectGolden(const Tokenizer& tokenizer, const fs::path& golden) {
    std::ifstream in(golden);
    const auto cases = nlohmann::json::parse(in);
    for (const auto& one : cases) {
        if (!one.contains("prompt")) continue;
        const auto ids = tokenizer.encode(one.at("prompt").get<std::string>(), true, AddBos::IfWanted);
        ASSERT_TRUE(ids.ok());
        EXPECT_EQ(ints(*ids), one.at("ids").get<std::vector<int>>()) << golden << ": " << one.at("prompt");
    }
}

TEST(Golden, ModelFoldersAndTheGgufBesideThem) {
    size_t folders = 0;
    for (const fs::path& root : {kShared / "models", kShared / "starter", kFixtures / "models", kFixtures}) {
        if (!fs::exists(root)) continue;
        std::vector<fs::path> candidates{root};
        for (const auto& entry : fs::directory_iterator(root))
            if (entry.is_directory()) candidates.push_back(entry.path());
        for (const fs::path& folder : candidates) {
            if (!fs::exists(folder / "golden.json") || !fs::exists(folder / "tokenizer.json")) continue;
            ++folders;
            expectGolden(tokenizerOfFolder(folder), folder / "golden.json");
            for (const auto& entry : fs::directory_iterator(folder))
                if (entry.path().extension() == ".gguf")
                    expectGolden(tokenizerOfGguf(entry.path()), folder / "golden.json");
        }
    }
    EXPECT_GE(folders, 1u) << "no model with golden prompts was found";
}

}  // namespace
}  // namespace conclave::engine::text
