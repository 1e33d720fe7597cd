#include <gtest/gtest.h>

#include "engine/formats/hf_folder.h"

namespace conclave::engine::formats {
namespace {

using base::Code;

Code codeOf(std::string_view text) {
    const auto parsed = parseStrictJson(text, "x.json");
    return parsed.ok() ? Code::Internal : parsed.error().code;
}

TEST(StrictJson, BuildsWhatTheTextSays) {
    const auto parsed = parseStrictJson(
        R"({"a":[1,-2,0.5,true,null,"x",[],{}],"b":{"c":{"d":[[1],[2,3]]}},"e":18446744073709551615})", "x");
    ASSERT_TRUE(parsed.ok());
    EXPECT_EQ(
        *parsed,
        nlohmann::json::parse(
            R"({"a":[1,-2,0.5,true,null,"x",[],{}],"b":{"c":{"d":[[1],[2,3]]}},"e":18446744073709551615})"));
    EXPECT_EQ(parseStrictJson("7", "x").value(), 7);
    EXPECT_EQ(parseStrictJson(R"("\ud83d\ude00")", "x").value(), "\xF0\x9F\x98\x80");
}

TEST(StrictJson, RefusesWhatOthersLetPass) {
    EXPECT_EQ(codeOf(R"({"a":1,"a":2})"), Code::DuplicateName);
    EXPECT_EQ(codeOf(R"({"x":{"a":1,"b":{},"a":2}})"), Code::DuplicateName);
    EXPECT_EQ(codeOf(R"([{"a":1},{"a":1}])"), Code::Internal);
    EXPECT_EQ(codeOf("\"\xC0\xAF\""), Code::InvalidUtf8);
    EXPECT_EQ(codeOf("\"\xED\xA0\x80\""), Code::InvalidUtf8);
    EXPECT_EQ(codeOf(R"("\ud800")"), Code::InvalidJson);
    EXPECT_EQ(codeOf("\xEF\xBB\xBF{}"), Code::InvalidJson);
    EXPECT_EQ(codeOf("NaN"), Code::InvalidJson);
    EXPECT_EQ(codeOf("[Infinity]"), Code::InvalidJson);
    EXPECT_EQ(codeOf("1e999"), Code::InvalidJson);
    EXPECT_EQ(codeOf("[1,]"), Code::InvalidJson);
    EXPECT_EQ(codeOf("{} {}"), Code::InvalidJson);
    EXPECT_EQ(codeOf("// x\n{}"), Code::InvalidJson);
    EXPECT_EQ(codeOf(""), Code::InvalidJson);
    EXPECT_EQ(codeOf("\"a\nb\""), Code::InvalidJson);
}

TEST(StrictJson, DepthIsLimited) {
    EXPECT_EQ(codeOf(std::string(64, '[') + std::string(64, ']')), Code::Internal);
    EXPECT_EQ(codeOf(std::string(65, '[') + std::string(65, ']')), Code::LimitExceeded);
    EXPECT_EQ(codeOf(std::string(1'000'000, '[')), Code::LimitExceeded);
    std::string objects;
    for (int i = 0; i < 100'000; ++i)
        objects += "{\"a\":";
    EXPECT_EQ(codeOf(objects), Code::LimitExceeded);
    EXPECT_TRUE(parseStrictJson("[[[1]]]", "x", 3).ok());
    EXPECT_FALSE(parseStrictJson("[[[1]]]", "x", 2).ok());
}

TEST(StrictJson, MessagesSayWhere) {
    const auto parsed = parseStrictJson("{\n  \"a\": trux\n}", "config.json");
    ASSERT_FALSE(parsed.ok());
    const std::string message = render(parsed.error());
    EXPECT_NE(message.find("config.json"), std::string::npos);
    EXPECT_NE(message.find("line 2"), std::string::npos) << message;
    EXPECT_EQ(message.find("json.exception"), std::string::npos) << message;
}

}  // namespace
}  // namespace conclave::engine::formats
