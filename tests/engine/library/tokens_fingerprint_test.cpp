#include "engine/library/tokens_fingerprint.h"

#include <gtest/gtest.h>

#include "tests/engine/library/folder.h"

namespace conclave::engine::library {
namespace {

namespace fs = std::filesystem;

std::string fingerprintOf(const std::string& path) {
    const auto model = loadPath(path, "m", {});
    EXPECT_TRUE(model.ok()) << base::render(model.error());
    return model.ok() ? baseFingerprint(**model) : "";
}

TEST(TokensFingerprint, IsTheSameFromEveryKindOfFile) {
    size_t compared = 0;
    for (const char* root : {"/tests/fixtures/models", "/../shared/models"}) {
        std::error_code failed;
        for (const auto& folder : fs::directory_iterator(CONCLAVE_SOURCE_DIR + std::string(root), failed)) {
            if (!fs::exists(folder.path() / "model.safetensors")) continue;
            const std::string want = fingerprintOf(folder.path().string());
            for (const char* name : {"model.gguf", "model-split-mla.gguf"})
                if (fs::exists(folder.path() / name)) {
                    EXPECT_EQ(fingerprintOf((folder.path() / name).string()), want) << folder.path();
                    ++compared;
                }
        }
    }
    EXPECT_GE(compared, 3u);
}

TEST(TokensFingerprint, TellsTextsApart) {
    const testing::TestFolder folder;
    const std::string before = fingerprintOf(folder.copyModel("qwen2-tiny", "one"));
    folder.copyModel("qwen2-tiny", "two");
    folder.edit("two/tokenizer.json", [](nlohmann::json& tokenizer) {
        nlohmann::json& vocabulary = tokenizer["model"]["vocab"];
        std::swap(vocabulary["A"], vocabulary["B"]);
    });
    EXPECT_NE(fingerprintOf(folder.at("two")), before);
}

}  // namespace
}  // namespace conclave::engine::library
