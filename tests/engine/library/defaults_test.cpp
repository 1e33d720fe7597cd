#include "engine/library/defaults.h"

#include "tests/engine/library/folder.h"

namespace conclave::engine::library {
namespace {

using nlohmann::json;
using testing::mentions;
using testing::TestFolder;

formats::HfFolder folderWith(json config, std::optional<json> generation) {
    formats::HfFolder folder;
    folder.path = "/m";
    folder.config = std::move(config);
    folder.generationConfig = std::move(generation);
    return folder;
}

TEST(FolderAdvice, TakesSamplingAndEndTokens) {
    const Advice advice = adviceOf(folderWith({{"eos_token_id", 7}}, json{{"eos_token_id", {8, 9}},
                                                                          {"do_sample", true},
                                                                          {"temperature", 0.7},
                                                                          {"top_p", 0.95},
                                                                          {"top_k", 20},
                                                                          {"min_p", 0.05},
                                                                          {"typical_p", 0.9},
                                                                          {"repetition_penalty", 1.1},
                                                                          {"max_new_tokens", 256}}));
    EXPECT_FLOAT_EQ(advice.defaults.temperature.value(), 0.7f);
    EXPECT_FLOAT_EQ(advice.defaults.topP.value(), 0.95f);
    EXPECT_FLOAT_EQ(advice.defaults.minP.value(), 0.05f);
    EXPECT_EQ(advice.defaults.topK, 20u);
    EXPECT_FLOAT_EQ(advice.defaults.typicalP.value(), 0.9f);
    EXPECT_FLOAT_EQ(advice.defaults.repetitionPenalty.value(), 1.1f);
    EXPECT_FALSE(advice.defaults.repeatLastN);
    EXPECT_EQ(advice.defaults.maxTokens, 256u);
    EXPECT_EQ(advice.endTokens, (std::vector<int64_t>{7, 8, 9}));
    EXPECT_TRUE(advice.warnings.empty());
}

TEST(FolderAdvice, WithoutSamplingTheTemperatureIsZero) {
    EXPECT_EQ(adviceOf(folderWith({}, json{{"do_sample", false}, {"temperature", 0.7}})).defaults.temperature,
              0.0f);
    EXPECT_FALSE(adviceOf(folderWith({}, json::object())).defaults.temperature);
    EXPECT_FALSE(adviceOf(folderWith({}, std::nullopt)).defaults.temperature);
}

TEST(FolderAdvice, LeavesOutWhatMakesNoSenseAndSaysSo) {
    const Advice advice =
        adviceOf(folderWith({{"eos_token_id", nullptr}}, json{{"temperature", -1},
                                                              {"top_p", 1.5},
                                                              {"top_k", "many"},
                                                              {"min_p", nullptr},
                                                              {"max_new_tokens", 0},
                                                              {"eos_token_id", {1, "two"}}}));
    EXPECT_FALSE(advice.defaults.temperature);
    EXPECT_FALSE(advice.defaults.topP);
    EXPECT_FALSE(advice.defaults.topK);
    EXPECT_FALSE(advice.defaults.maxTokens);
    EXPECT_EQ(advice.endTokens, (std::vector<int64_t>{1}));
    EXPECT_EQ(advice.warnings.size(), 5u);
    for (const char* key : {"temperature", "top_p", "top_k", "max_new_tokens", "eos_token_id"})
        EXPECT_TRUE(mentions(advice.warnings, std::string("/m/generation_config.json: ") + key)) << key;
}

TEST(FolderAdvice, TopKBelowOneIsOff) {
    EXPECT_EQ(adviceOf(folderWith({}, json{{"top_k", 0}})).defaults.topK, 0u);
    EXPECT_EQ(adviceOf(folderWith({}, json{{"top_k", -1}})).defaults.topK, 0u);
}

TEST(GgufAdvice, TakesTheSamplingKeys) {
    const TestFolder folder;
    const std::string path = folder.at("a.gguf");
    using formats::GgufScalar;
    ASSERT_TRUE(formats::writeGguf(path,
                                   {{"general.architecture", GgufScalar(std::string("llama"))},
                                    {"general.sampling.temp", GgufScalar(0.6f)},
                                    {"general.sampling.top_k", GgufScalar(int32_t{20})},
                                    {"general.sampling.top_p", GgufScalar(0.9f)},
                                    {"general.sampling.penalty_repeat", GgufScalar(1.1f)},
                                    {"general.sampling.penalty_last_n", GgufScalar(int32_t{64})},
                                    {"general.sampling.min_p", GgufScalar(std::string("little"))}},
                                   {}, {})
                    .ok());
    const auto file = formats::GgufFile::open(path);
    ASSERT_TRUE(file.ok()) << base::render(file.error());
    const Advice advice = adviceOf(*file);
    EXPECT_FLOAT_EQ(advice.defaults.temperature.value(), 0.6f);
    EXPECT_EQ(advice.defaults.topK, 20u);
    EXPECT_FLOAT_EQ(advice.defaults.topP.value(), 0.9f);
    EXPECT_FLOAT_EQ(advice.defaults.repetitionPenalty.value(), 1.1f);
    EXPECT_EQ(advice.defaults.repeatLastN, 64);
    EXPECT_FALSE(advice.defaults.minP);
    EXPECT_TRUE(mentions(advice.warnings, "general.sampling.min_p"));
}

}  // namespace
}  // namespace conclave::engine::library
