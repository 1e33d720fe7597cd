#include "engine/protocol/lora.h"

#include <gtest/gtest.h>

#include "engine/protocol/generation.h"

namespace conclave::engine::protocol {
namespace {

std::optional<std::vector<LoraUse>> read(const std::string& body, std::string* refusal = nullptr) {
    const auto json = parseBody(body);
    EXPECT_TRUE(json.ok());
    Fields fields(*json);
    auto uses = readLora(fields);
    EXPECT_EQ(refusal != nullptr, fields.error().has_value()) << body;
    if (refusal != nullptr && fields.error()) *refusal = base::render(*fields.error());
    return uses;
}

TEST(Lora, AbsentEmptyAndFull) {
    EXPECT_FALSE(read("{}"));
    EXPECT_FALSE(read(R"({"lora":null})"));
    EXPECT_TRUE(read(R"({"lora":[]})")->empty());
    const auto uses =
        *read(R"({"lora":[{"id":3,"scale":0.5},{"name":"legal"},{"id":0,"name":"x","scale":-2}]})");
    ASSERT_EQ(uses.size(), 3u);
    EXPECT_EQ(uses[0].id, 3u);
    EXPECT_EQ(uses[0].scale, 0.5);
    EXPECT_EQ(uses[1].name, "legal");
    EXPECT_EQ(uses[1].scale, 1);
    EXPECT_EQ(uses[2].scale, -2);
    EXPECT_EQ(read(dump(Json{{"lora", loraJson(uses)}}))->size(), 3u);
}

TEST(Lora, WhatIsWrongIsNamed) {
    const std::pair<const char*, const char*> cases[] = {
        {R"({"lora":{}})", "lora: {}"},
        {R"({"lora":"x"})", "lora: \"x\""},
        {R"({"lora":[1]})", "lora[0]: 1"},
        {R"({"lora":[{"id":0},{"scale":1}]})", "lora[1].id: is missing"},
        {R"({"lora":[{"id":-1}]})", "lora[0].id: -1"},
        {R"({"lora":[{"id":0.5}]})", "lora[0].id: 0.5"},
        {R"({"lora":[{"name":""}]})", "lora[0].name"},
        {R"({"lora":[{"id":0,"scale":101}]})", "lora[0].scale: 101"},
        {R"({"lora":[{"id":0},{"id":1,"sclae":0.1}]})", "lora[1].sclae"}};
    for (const auto& [body, begin] : cases) {
        std::string refusal;
        read(body, &refusal);
        EXPECT_TRUE(refusal.starts_with(begin)) << refusal;
    }
    std::string many = R"({"lora":[{"id":0})";
    for (int i = 0; i < 16; ++i)
        many += R"(,{"id":0})";
    std::string refusal;
    read(many + "]}", &refusal);
    EXPECT_NE(refusal.find("at most 16"), std::string::npos);
}

TEST(Lora, ADefaultIsAList) {
    EXPECT_EQ(readLoraDefaults(R"([{"id":1}])")->size(), 1u);
    EXPECT_TRUE(readLoraDefaults("[]")->empty());
    // as GET /lora-adapters gave it, here and in llama.cpp
    AdapterRow row;
    row.id = 3;
    row.name = "legal";
    EXPECT_EQ(readLoraDefaults(loraList({row}))->front().id, 3u);
    EXPECT_TRUE(
        readLoraDefaults(R"([{"id":0,"path":"a.gguf","scale":1.0,"task_name":"","prompt_prefix":""}])").ok());
    for (const char* body : {"", "null", "{}", "[1]", "[]]", "[],\"lora\":[]"})
        EXPECT_FALSE(readLoraDefaults(body).ok()) << body;
}

TEST(Lora, AdaptersSurviveTheWire) {
    AdapterRow row;
    row.id = 4;
    row.name = "legal";
    row.model = "starter";
    row.path = "/a";
    row.rank = 8;
    row.bytes = 1234567890123;
    row.invoked = true;
    row.loaded = false;
    row.users = 2;
    row.loadedAtUnix = 1'700'000'000;
    row.lastUsedUnix = 1'700'000'001;
    row.scale = 0.5;
    row.layers = {{0, 7, 3}};
    const auto listing =
        readAdapterList(adapterList({{row}, {{"letters", "starter", "/a"}, {"mine", "", "/b"}}, 5, 7}));
    ASSERT_TRUE(listing.ok() && listing->rows.size() == 1 && listing->installed.size() == 2);
    EXPECT_EQ(listing->installed[0].model, "starter");
    EXPECT_EQ(listing->installed[1].name, "mine");
    EXPECT_EQ(listing->installed[1].model, "");
    EXPECT_EQ(listing->bytes, 5u);
    EXPECT_EQ(listing->budget, 7u);
    const AdapterRow& read = listing->rows.front();
    EXPECT_EQ(read.id, 4u);
    EXPECT_EQ(read.name, "legal");
    EXPECT_EQ(read.bytes, row.bytes);
    EXPECT_TRUE(read.invoked);
    EXPECT_FALSE(read.loaded);
    EXPECT_EQ(read.users, 2u);
    EXPECT_EQ(adapterJson(read), adapterJson(row)) << "nothing is lost on the way";
    const Json details = *parseJson(adapterDetails({.row = row,
                                                    .format = "peft",
                                                    .trainedOn = {},
                                                    .alpha = 16,
                                                    .rankStabilised = true,
                                                    .ranks = {4, 8},
                                                    .targets = {"self_attn.q_proj"},
                                                    .invocation = {base::TokenId{3}}}));
    EXPECT_EQ(details["name"], "legal");
    EXPECT_EQ(details["trained_on"], nullptr);
    EXPECT_EQ(dump(details["ranks"]), "[4,8]");
    EXPECT_EQ(dump(details["invocation_tokens"]), "[3]");
    EXPECT_FALSE(readAdapterList("{}").ok());
    EXPECT_FALSE(readAdapterList(R"({"data":[1]})").ok());
}

TEST(Lora, ALoadNamesAPathOrAnInstalledOne) {
    EXPECT_EQ(readAdapterLoad(R"({"path":"/x","model":"m"})")->model, "m");
    EXPECT_EQ(readAdapterLoad(R"({"name":"legal"})")->name, "legal");
    EXPECT_EQ(readAdapterLoad(dump(toJson(AdapterLoad{"/x", "n", "m"})))->path, "/x");
    for (const char* body :
         {"{}", R"({"path":"x"})", R"({"path":""})", R"({"path":"/a\u0000b"})", R"({"path":1})"})
        EXPECT_FALSE(readAdapterLoad(body).ok()) << body;
}

}  // namespace
}  // namespace conclave::engine::protocol
