#include "engine/protocol/router.h"

#include <gtest/gtest.h>

#include "engine/protocol/generation.h"
#include "engine/protocol/models.h"

namespace conclave::engine::protocol {
namespace {

std::optional<RouterWish> read(const std::string& router, std::string* refusal = nullptr) {
    const auto json = parseBody(R"({"router":)" + router + "}");
    EXPECT_TRUE(json.ok());
    Fields fields(*json);
    auto wish = readRouter(fields);
    EXPECT_EQ(refusal != nullptr, fields.error().has_value()) << router;
    if (refusal != nullptr && fields.error()) *refusal = base::render(*fields.error());
    return wish;
}

TEST(Router, AbsentEmptyAndFull) {
    EXPECT_FALSE(read("null"));
    EXPECT_EQ(routerJson(*read("{}")), Json::object());
    const char* full = R"({"temperature":0.8,"active":4,"floor":0.25,"bias":[
        {"layer":3,"expert":17,"value":2.5},{"expert":5,"forbid":true},{"expert":6,"value":-1,"forbid":false}]})";
    const RouterWish wish = *read(full);
    EXPECT_EQ(wish.temperature, 0.8);
    EXPECT_EQ(wish.active, 4u);
    EXPECT_EQ(wish.floor, 0.25);
    ASSERT_EQ(wish.bias.size(), 3u);
    EXPECT_EQ(wish.bias[0].layer, 3u);
    EXPECT_EQ(wish.bias[0].expert, 17u);
    EXPECT_EQ(wish.bias[0].value, 2.5);
    EXPECT_FALSE(wish.bias[1].layer);
    EXPECT_FALSE(wish.bias[1].value);
    EXPECT_EQ(wish.bias[2].value, -1);
    EXPECT_EQ(routerJson(*read(routerJson(wish).dump())), routerJson(wish));
}

TEST(Router, WhatIsWrongIsNamed) {
    const std::pair<const char*, const char*> cases[] = {
        {"4", "router: 4"},
        {R"({"temperatur":1})",
         "router.temperatur: is not known here; known are temperature, active, floor, bias"},
        {R"({"temperature":0})", "router.temperature: 0"},
        {R"({"temperature":"hot"})", "router.temperature: \"hot\""},
        {R"({"active":0})", "router.active: 0"},
        {R"({"active":1.5})", "router.active: 1.5"},
        {R"({"floor":1})", "router.floor: 1"},
        {R"({"floor":-0.1})", "router.floor: -0.1"},
        {R"({"bias":{}})", "router.bias: {}"},
        {R"({"bias":[7]})", "router.bias[0]: 7"},
        {R"({"bias":[{"expert":1,"value":1},{"value":1}]})", "router.bias[1].expert: is missing"},
        {R"({"bias":[{"expert":1}]})", "router.bias[0].value: is missing"},
        {R"({"bias":[{"expert":1,"forbid":false}]})", "router.bias[0].value: is missing"},
        {R"({"bias":[{"expert":1,"forbid":true,"value":1}]})", "router.bias[0].forbid: true"},
        {R"({"bias":[{"expert":1,"value":1001}]})", "router.bias[0].value: 1001"},
        {R"({"bias":[{"expert":-1,"value":1}]})", "router.bias[0].expert: -1"},
        {R"({"bias":[{"expert":1,"value":1,"layr":2}]})", "router.bias[0].layr: is not known"},
    };
    for (const auto& [router, begin] : cases) {
        std::string refusal;
        read(router, &refusal);
        EXPECT_TRUE(refusal.starts_with(begin)) << refusal;
        EXPECT_EQ(refusal.find('\n'), std::string::npos);
    }
    std::string many = "[";
    for (int i = 0; i < 1025; ++i)
        many += std::string(i == 0 ? "" : ",") + R"({"expert":1,"value":1})";
    std::string refusal;
    read(R"({"bias":)" + many + "]}", &refusal);
    EXPECT_NE(refusal.find("at most 1024"), std::string::npos) << refusal;
}

TEST(Router, IsAFieldOfRequestsAndOfLoading) {
    const auto json = parseBody(R"({"router":{"active":3}})");
    Fields fields(*json);
    const Generation generation = readGeneration(fields);
    ASSERT_TRUE(generation.router);
    EXPECT_EQ(generation.router->active, 3u);
    Json body = Json::object();
    writeGeneration(generation, body);
    EXPECT_EQ(body["router"], (Json{{"active", 3}}));
    const auto load = readLoadRequest(R"({"name":"m","router":{"floor":0.5}})");
    ASSERT_TRUE(load.ok() && load->router);
    EXPECT_EQ(load->router->floor, 0.5);
    EXPECT_EQ(toJson(*load)["router"], (Json{{"floor", 0.5}}));
    EXPECT_FALSE(readLoadRequest(R"({"name":"m"})")->router);
    EXPECT_EQ(readLoadRequest(R"({"name":"m","router":{"floor":2}})").error().field, "router.floor");
}

}  // namespace
}  // namespace conclave::engine::protocol
