#include "engine/library/names.h"

#include "tests/engine/library/folder.h"

namespace conclave::engine::library {
namespace {

using testing::TestFolder;

TEST(ModelNames, ComeFromPaths) {
    EXPECT_EQ(nameFromPath("/models/tiny"), "tiny");
    EXPECT_EQ(nameFromPath("/models/tiny/"), "tiny");
    EXPECT_EQ(nameFromPath("models/../tiny.v2"), "tiny.v2");
    EXPECT_EQ(nameFromPath("/models/tiny.Q4_K_M.gguf"), "tiny.Q4_K_M");
    EXPECT_EQ(nameFromPath("/models/big-00001-of-00003.gguf"), "big");
    EXPECT_EQ(nameFromPath("/models/big-0001-of-00003.gguf"), "big-0001-of-00003");
}

TEST(ModelNames, AreNeverPaths) {
    for (const char* good : {"tiny", "Qwen2.5-Coder 7B", "模型"})
        EXPECT_TRUE(isModelName(good)) << good;
    for (const char* bad : {"", ".", "..", ".hidden", "a/b", "/etc", "a\nb", "a\x7f"})
        EXPECT_FALSE(isModelName(bad)) << bad;
}

TEST(FindInstalled, TakesFoldersWithAConfigAndGgufFiles) {
    const TestFolder folder;
    folder.write("models/folder/config.json", "{}");
    folder.write("models/folder/model.safetensors", std::string(98, 'x'));
    folder.write("models/file.gguf", std::string(10, 'x'));
    folder.write("models/split-00001-of-00002.gguf", std::string(20, 'x'));
    folder.write("models/split-00002-of-00002.gguf", std::string(30, 'x'));
    folder.write("models/not-a-model/readme.txt", "x");
    folder.write("models/notes.txt", "x");
    folder.write("models/.hidden.gguf", "x");
    const auto found = findInstalled({folder.at("nowhere"), folder.at("models")});
    ASSERT_EQ(found.size(), 3u);
    EXPECT_EQ(found[0].name, "file");
    EXPECT_EQ(found[0].bytes, 10u);
    EXPECT_EQ(found[1].name, "folder");
    EXPECT_EQ(found[1].bytes, 100u);
    EXPECT_EQ(found[2].name, "split");
    EXPECT_EQ(found[2].path, folder.at("models/split-00001-of-00002.gguf"));
    EXPECT_EQ(found[2].bytes, 50u);
    for (const ModelEntry& entry : found) {
        EXPECT_FALSE(entry.loaded);
        EXPECT_GT(entry.createdUnix, 1'600'000'000);
        EXPECT_TRUE(entry.warnings.empty());
    }
}

TEST(FindInstalled, OfTwoWithOneNameTheFirstCountsAndSaysSo) {
    const TestFolder folder;
    folder.write("mine/tiny.gguf", "x");
    folder.write("shipped/tiny/config.json", "{}");
    const auto found = findInstalled({folder.at("mine"), folder.at("shipped")});
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].path, folder.at("mine/tiny.gguf"));
    ASSERT_EQ(found[0].warnings.size(), 1u);
    EXPECT_TRUE(testing::mentions(found[0].warnings, folder.at("shipped/tiny")));
}

}  // namespace
}  // namespace conclave::engine::library
