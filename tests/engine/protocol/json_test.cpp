#include "engine/protocol/json.h"

#include <gtest/gtest.h>

namespace conclave::engine::protocol {
namespace {

using base::Code;

TEST(StrictJson, KeepsTheOrderOfKeys) {
    const auto json = parseJson(R"({"zebra":1,"ant":{"b":[1,2.5,true,null,"x"],"a":-3}})");
    ASSERT_TRUE(json.ok());
    EXPECT_EQ(dump(*json), R"({"zebra":1,"ant":{"b":[1,2.5,true,null,"x"],"a":-3}})");
}

struct Refusal {
    std::string text;
    Code code;
};

class RefusedJson : public testing::TestWithParam<Refusal> {};

TEST_P(RefusedJson, IsRefusedWithItsCode) {
    const auto json = parseJson(GetParam().text);
    ASSERT_FALSE(json.ok()) << GetParam().text.substr(0, 80);
    EXPECT_EQ(json.error().code, GetParam().code) << base::render(json.error());
}

const Refusal kRefusals[] = {
    {"", Code::InvalidJson},
    {"{", Code::InvalidJson},
    {"{\"a\":}", Code::InvalidJson},
    {"[1,]", Code::InvalidJson},
    {"{\"a\":1} x", Code::InvalidJson},
    {"NaN", Code::InvalidJson},
    {"[Infinity]", Code::InvalidJson},
    {"[1e999]", Code::InvalidJson},
    {"[01]", Code::InvalidJson},
    {"'a'", Code::InvalidJson},
    {"// comment\n1", Code::InvalidJson},
    {"[\"\\ud800\"]", Code::InvalidJson},  // a lone surrogate
    {"[\"a\nb\"]", Code::InvalidJson},     // a raw line break in a string
    {"\"\xff\"", Code::InvalidUtf8},
    {"\"\xc0\xaf\"", Code::InvalidUtf8},      // overlong
    {"\"\xed\xa0\x80\"", Code::InvalidUtf8},  // a surrogate in UTF-8
    {R"({"a":1,"a":2})", Code::DuplicateName},
    {R"({"x":{"a":1,"b":2,"a":3}})", Code::DuplicateName},
    {std::string(65, '[') + std::string(65, ']'), Code::LimitExceeded},
    {std::string(30'000'000, '['), Code::LimitExceeded},
};
INSTANTIATE_TEST_SUITE_P(Table, RefusedJson, testing::ValuesIn(kRefusals));

TEST(StrictJson, CountsValues) {
    std::string many = "[1";
    for (int i = 0; i < 100; ++i)
        many += ",1";
    many += "]";
    EXPECT_TRUE(parseJson(many, {.depth = 4, .values = 102}).ok());
    const auto tooMany = parseJson(many, {.depth = 4, .values = 101});
    ASSERT_FALSE(tooMany.ok());
    EXPECT_EQ(tooMany.error().code, Code::LimitExceeded);
}

TEST(StrictJson, TakesDepthUpToTheLimit) {
    EXPECT_TRUE(parseJson(std::string(64, '[') + std::string(64, ']')).ok());
}

TEST(StrictJson, SameKeyInTwoObjectsIsFine) {
    EXPECT_TRUE(parseJson(R"([{"a":1},{"a":2},{"b":{"a":3}}])").ok());
}

TEST(StrictJson, ManyKeysTakeLittleTime) {
    std::string text = "{";
    for (int i = 0; i < 200'000; ++i)
        text += (i ? ",\"k" : "\"k") + std::to_string(i) + "\":0";
    text += "}";
    const auto json = parseJson(text);  // would take minutes if each key were looked for among all before it
    ASSERT_TRUE(json.ok());
    EXPECT_EQ(json->size(), 200'000u);
}

TEST(StrictJson, TheErrorNamesTheByte) {
    const auto json = parseJson("{\"a\": tru}");
    ASSERT_FALSE(json.ok());
    EXPECT_NE(base::render(json.error()).find("column 10"), std::string::npos) << base::render(json.error());
}

}  // namespace
}  // namespace conclave::engine::protocol
