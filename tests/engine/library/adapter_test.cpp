#include "engine/library/adapter_shelf.h"

#include <filesystem>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "engine/library/adapter_places.h"
#include "tests/engine/formats/adapter_builder.h"
#include "tests/engine/library/folder.h"

namespace conclave::engine::library {
namespace {

namespace fs = std::filesystem;
using base::Code;

const std::string kModels = CONCLAVE_SOURCE_DIR "/tests/fixtures/models/";
const std::string kAttention = kModels + "mixtral-tiny/adapters/attention",
                  kExperts = kModels + "mixtral-tiny/adapters/experts";

struct Shelf : ::testing::Test {
    testing::TestFolder folder;  // keeps the cache of hashes
    Library library{{}};
    AdapterShelf shelf{library};
    std::shared_ptr<const LoadedModel> base = *loadPath(kModels + "mixtral-tiny", "base", {});
};

TEST_F(Shelf, HoldsWhatIsLoadedByNameAndNumber) {
    EXPECT_TRUE(shelf.list().empty());
    const auto first = shelf.load(kAttention, "", *base, {});
    ASSERT_TRUE(first.ok()) << base::render(first.error());
    EXPECT_EQ(first->adapter->name, "attention");
    EXPECT_EQ(first->adapter->contentId.size(), 64u);
    const auto second = shelf.load(kExperts, "other", *base, {});
    ASSERT_TRUE(second.ok());
    EXPECT_NE(first->id, second->id);
    EXPECT_EQ(shelf.byId(second->id)->name, "other");
    EXPECT_EQ(shelf.byName("attention")->id, first->id);
    EXPECT_EQ(shelf.byName("base:other")->id, second->id);
    EXPECT_TRUE(shelf.ready("other", *base) && shelf.ready(second->id));
    EXPECT_EQ(shelf.get(second->id, *base, {})->adapter->contentId, second->adapter->contentId);
    EXPECT_EQ(shelf.modelsWith("other"), std::vector<std::string>{"base"});
    EXPECT_EQ(shelf.load(kAttention, "", *base, {})->id, first->id) << "the same content again";
    EXPECT_EQ(shelf.load(kExperts, "attention", *base, {}).error().code, Code::ModelNameTaken);
    ASSERT_TRUE(shelf.unload("base:attention").ok());
    EXPECT_EQ(shelf.byId(first->id).error().code, Code::UnknownAdapter);
    EXPECT_NE(shelf.load(kAttention, "", *base, {})->id, first->id) << "a number is never used again";
    EXPECT_EQ(shelf.unload("nobody").error().code, Code::UnknownAdapter);
}

TEST_F(Shelf, FindsWhatIsInstalledBesideTheModel) {
    const auto found = installedAdapters(base->path);
    ASSERT_EQ(found.size(), 3u);
    EXPECT_EQ(found[0].name, "attention");
    EXPECT_TRUE(shelf.get("experts", *base, {}).ok());
    EXPECT_EQ(shelf.list().size(), 1u);
    for (const char* name : {"nobody", "../attention", "/etc", ".", ""})
        EXPECT_EQ(shelf.get(name, *base, {}).error().code, Code::UnknownAdapter) << name;
}

TEST_F(Shelf, NamesThatNoneCanHave) {
    EXPECT_EQ(shelf.load(kAttention, "a/b", *base, {}).error().code, Code::BadArgument);
    library.publish(base);
    EXPECT_EQ(shelf.load(kAttention, "base", *base, {}).error().code, Code::ModelNameTaken);
    EXPECT_EQ(shelf.load(kModels + "nothing", "x", *base, {}).error().code, Code::FileNotFound);
    EXPECT_EQ(shelf.load(kModels + "llama-tiny", "x", *base, {}).error().code, Code::NotAnAdapter);
    EXPECT_TRUE(shelf.list().empty());
}

TEST_F(Shelf, KeysAreContentsAndStrengths) {
    const auto a = shelf.load(kAttention, "a", *base, {})->adapter,
               b = shelf.load(kExperts, "b", *base, {})->adapter,
               again = shelf.load(kAttention, "c", *base, {})->adapter;
    EXPECT_EQ(keyOf({}), "");
    EXPECT_EQ(keyOf({{a, 0.0f}}), "");
    EXPECT_EQ(keyOf({{a, 1}}), keyOf({{again, 1}}));
    EXPECT_NE(keyOf({{a, 1}}), keyOf({{a, 0.999f}}));
    EXPECT_NE(keyOf({{a, 1}, {b, 1}}), keyOf({{b, 1}, {a, 1}}));
    EXPECT_EQ(keyOf({{a, 1}, {b, 0}}), keyOf({{a, 1}}));
}

TEST_F(Shelf, WarnsOfOneThatChangesNothing) {
    const formats::ScratchFolder scratch;
    formats::AdapterBuilder builder;
    const model::ModelConfig& c = base->model->config;
    builder.pair("model.layers.0.self_attn.q_proj", {{2, c.hidden}, std::vector<float>(2 * c.hidden, 0.5f)},
                 {{uint64_t{c.heads} * c.keyDim, 2}, std::vector<float>(size_t{2} * c.heads * c.keyDim)});
    const auto fresh = shelf.load(builder.writePeft(scratch, "fresh"), "", *base, {});
    ASSERT_TRUE(fresh.ok()) << base::render(fresh.error());
    EXPECT_EQ(warningsOf("fresh", fresh->adapter->facts->changesNothing),
              std::vector<std::string>{"adapter fresh changes nothing: every product of its factors is zero, "
                                       "as before training; if it was trained, save it again"});
    const auto trained = shelf.load(kAttention, "", *base, {});
    ASSERT_TRUE(trained.ok());
    EXPECT_TRUE(warningsOf("attention", trained->adapter->facts->changesNothing).empty());
}

}  // namespace
}  // namespace conclave::engine::library
