#include "engine/library/library.h"

#include <atomic>
#include <thread>

#include "tests/engine/library/folder.h"

namespace conclave::engine::library {
namespace {

using base::Code;
using testing::mentions;
using testing::TestFolder;

const std::string kLlama = TestFolder::fixturePath("llama-tiny");

Library::Options optionsFor(const TestFolder& folder) {
    Library::Options options;
    options.folders = {folder.at("models")};
    return options;
}

template <class T> Code codeOf(const base::Result<T>& result) {
    return result.ok() ? Code::Internal : result.error().code;
}

TEST(LoadPath, GivesEverythingThatIsNeededToTalk) {
    const auto model = loadPath(kLlama, "", {});
    ASSERT_TRUE(model.ok()) << base::render(model.error());
    const LoadedModel& m = **model;
    EXPECT_EQ(m.name, "llama-tiny");
    EXPECT_EQ(m.path, kLlama);
    EXPECT_TRUE(m.contentId.starts_with("llama-tiny@files:"));
    EXPECT_EQ(m.model->config.vocabulary, 512u);
    EXPECT_EQ(m.tokenizer->size(), 512u);
    EXPECT_TRUE(m.chatTemplate);
    EXPECT_EQ(m.endTokens.size(), 1u);
    EXPECT_GT(m.loadedAtUnix, 1'600'000'000);
}

TEST(Library, LoadsAPathUnderItsNameOnce) {
    const TestFolder folder;
    Library library(optionsFor(folder));
    std::vector<std::string> stages;
    const auto first = library.load(kLlama, "", [&](const std::string& stage, uint64_t done, uint64_t total) {
        EXPECT_LE(done, total);
        if (stages.empty() || stages.back() != stage) stages.push_back(stage);
    });
    ASSERT_TRUE(first.ok()) << base::render(first.error());
    ASSERT_GE(stages.size(), 2u);
    EXPECT_EQ(stages.front(), "hash");
    EXPECT_EQ((*first)->contentId.size(), std::string("llama-tiny@").size() + 64);
    EXPECT_EQ(*library.load(kLlama + "/../llama-tiny/", "", {}), *first);
    EXPECT_EQ(*library.get("llama-tiny"), *first);
    EXPECT_EQ(*library.get(""), *first) << "the only one that is loaded";
    EXPECT_EQ(library.loaded("llama-tiny"), *first);
}

TEST(Library, RandomWeightsHaveTheBytesThatTheyTakeInMemory) {
    const TestFolder folder;
    Library library(optionsFor(folder));
    const auto model = library.load("synth:olmoe-1b-7b:q4_k_m:1", "", {});
    ASSERT_TRUE(model.ok()) << base::render(model.error());
    const std::vector<ModelEntry> entries = library.list();
    ASSERT_EQ(entries.size(), 1u);
    EXPECT_EQ(entries[0].bytes, (*model)->model->footprint.weightBytes);
    EXPECT_GT(entries[0].bytes, 100'000'000u);
}

TEST(Library, AnotherNameSharesTheWeights) {
    const TestFolder folder;
    Library library(optionsFor(folder));
    const auto first = library.load(kLlama, "a", {}), second = library.load(kLlama, "b", {});
    ASSERT_TRUE(first.ok() && second.ok());
    EXPECT_EQ((*first)->model, (*second)->model);
    EXPECT_EQ((*second)->name, "b");
    EXPECT_NE((*first)->contentId, (*second)->contentId);
    EXPECT_EQ(codeOf(library.get("")), Code::NoModelChosen);
}

TEST(Library, ANameBelongsToOneContent) {
    const TestFolder folder;
    const std::string path = folder.copyModel("llama-tiny", "m");
    Library library(optionsFor(folder));
    const auto first = library.load(path, "m", {});
    ASSERT_TRUE(first.ok());
    EXPECT_EQ(codeOf(library.load(TestFolder::fixturePath("qwen2-tiny"), "m", {})), Code::ModelNameTaken);
    folder.edit("m/generation_config.json", [](auto& config) { config["temperature"] = 0.1; });
    EXPECT_EQ(codeOf(library.load(path, "m", {})), Code::ModelChanged);
    EXPECT_EQ(library.loaded("m"), *first);
    ASSERT_TRUE(library.unload("m").ok());
    const auto again = library.load(path, "m", {});
    ASSERT_TRUE(again.ok());
    EXPECT_NE((*again)->contentId, (*first)->contentId);
}

TEST(Library, InstalledNamesLoadOnDemand) {
    const TestFolder folder;
    folder.copyModel("llama-tiny", "models/llama");
    std::filesystem::copy(TestFolder::fixturePath("deepseek-v3-tiny/model.gguf"),
                          folder.at("models/deep.gguf"));
    Library::Options options = optionsFor(folder);
    options.defaultModel = "deep";
    Library library(options);
    EXPECT_EQ(library.loaded("llama"), nullptr);
    EXPECT_EQ(*library.pathOf("llama"), folder.at("models/llama"));
    const auto llama = library.get("llama");
    ASSERT_TRUE(llama.ok()) << base::render(llama.error());
    const auto deep = library.get("");
    ASSERT_TRUE(deep.ok()) << base::render(deep.error());
    EXPECT_EQ((*deep)->name, "deep");
    const auto list = library.list();
    ASSERT_EQ(list.size(), 2u);
    EXPECT_EQ(list[0].name, "deep");
    EXPECT_TRUE(list[0].loaded && list[1].loaded);
    EXPECT_GT(list[0].bytes, 1000u);
}

TEST(Library, ListsTheLoadedFirst) {
    const TestFolder folder;
    folder.copyModel("llama-tiny", "models/aaa");
    folder.copyModel("llama-tiny", "models/zzz");
    Library library(optionsFor(folder));
    ASSERT_TRUE(library.get("zzz").ok());
    const auto list = library.list();
    ASSERT_EQ(list.size(), 2u);
    EXPECT_EQ(list[0].name, "zzz");
    EXPECT_TRUE(list[0].loaded);
    EXPECT_EQ(list[1].name, "aaa");
    EXPECT_FALSE(list[1].loaded);
}

TEST(Library, ANameIsNeverAPath) {
    const TestFolder folder;
    folder.copyModel("llama-tiny", "models/llama");
    Library library(optionsFor(folder));
    for (const std::string& name : {kLlama, std::string("../models/llama"), std::string("./llama"),
                                    std::string("."), std::string("nothing")}) {
        const auto model = library.get(name);
        ASSERT_EQ(codeOf(model), Code::UnknownModel) << name;
        EXPECT_NE(base::render(model.error()).find("known are llama"), std::string::npos);
    }
    EXPECT_EQ(codeOf(library.load(kLlama, "a/b", {})), Code::BadArgument);
    EXPECT_EQ(codeOf(library.get("")), Code::NoModelChosen);
}

TEST(Library, ABadFileLeavesWhatIsServed) {
    const TestFolder folder;
    folder.copyModel("llama-tiny", "models/cut");
    std::filesystem::resize_file(folder.at("models/cut/model.safetensors"), 5000);
    folder.copyModel("llama-tiny", "models/wide");
    folder.edit("models/wide/config.json", [](auto& config) { config["hidden_size"] = 128; });
    folder.copyModel("llama-tiny", "models/words");
    folder.edit("models/words/config.json", [](auto& config) { config["vocab_size"] = 500; });
    Library library(optionsFor(folder));
    const auto good = library.load(kLlama, "", {});
    ASSERT_TRUE(good.ok());
    for (const char* name : {"cut", "wide", "words"}) {
        const auto bad = library.get(name);
        ASSERT_FALSE(bad.ok()) << name;
        EXPECT_NE(base::render(bad.error()), "") << name;
        EXPECT_EQ(library.loaded(name), nullptr);
    }
    EXPECT_EQ(library.loaded("llama-tiny"), *good);
    EXPECT_EQ(library.list().front().name, "llama-tiny");
}

TEST(Library, AWarningOfTheTemplateStaysWithTheModel) {
    const TestFolder folder;
    const std::string path = folder.copyModel("llama-tiny", "m");
    folder.write("m/chat_template.jinja", "{{ nothing");
    Library library(optionsFor(folder));
    const auto model = library.load(path, "", {});
    ASSERT_TRUE(model.ok()) << base::render(model.error());
    EXPECT_FALSE((*model)->chatTemplate);
    EXPECT_TRUE((*model)->templateError);
    EXPECT_TRUE(mentions((*model)->warnings, "chat template"));
}

TEST(Library, TwoLoadsAtOnceGiveOneModel) {
    const TestFolder folder;
    Library library(optionsFor(folder));
    std::vector<std::shared_ptr<const LoadedModel>> models(4);
    std::vector<std::thread> threads;
    threads.reserve(models.size());
    for (auto& model : models)
        threads.emplace_back([&library, &model] {
            if (auto loaded = library.load(kLlama, "", {}); loaded.ok()) model = *loaded;
        });
    for (std::thread& thread : threads)
        thread.join();
    ASSERT_NE(models[0], nullptr);
    for (const auto& model : models)
        EXPECT_EQ(model, models[0]);
}

TEST(Library, LoadingDoesNotHoldUpWhatIsLoaded) {
    const TestFolder folder;
    Library library(optionsFor(folder));
    ASSERT_TRUE(library.load(kLlama, "", {}).ok());
    std::atomic<bool> asked{false};
    const auto other =
        library.load(TestFolder::fixturePath("qwen2-tiny"), "", [&](const auto&, uint64_t, uint64_t) {
            if (!asked.exchange(true))
                std::thread([&library] { EXPECT_TRUE(library.get("llama-tiny").ok()); }).join();
        });
    ASSERT_TRUE(other.ok()) << base::render(other.error());
    EXPECT_TRUE(asked);
}

TEST(Library, UnloadedModelsFinishWithThoseWhoHoldThem) {
    const TestFolder folder;
    Library library(optionsFor(folder));
    const auto model = library.load(kLlama, "", {});
    ASSERT_TRUE(model.ok());
    ASSERT_TRUE(library.unload("llama-tiny").ok());
    EXPECT_EQ(library.loaded("llama-tiny"), nullptr);
    EXPECT_EQ((*model)->model->config.vocabulary, 512u);
    EXPECT_EQ(codeOf(library.unload("llama-tiny")), Code::UnknownModel);
}

}  // namespace
}  // namespace conclave::engine::library
