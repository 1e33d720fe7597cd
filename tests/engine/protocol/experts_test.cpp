#include "engine/protocol/experts.h"

#include <gtest/gtest.h>

#include "engine/protocol/generation.h"
#include "engine/protocol/query.h"

namespace conclave::engine::protocol {
namespace {

constexpr QueryField kKnown[] = {
    {"name", QueryKind::Text}, {"count", QueryKind::Number}, {"on", QueryKind::Flag}};

std::string parsed(std::string_view query) {
    const auto json = parseQuery(query, kKnown);
    return json.ok() ? dump(*json) : base::render(json.error());
}

TEST(Query, BecomesAnObject) {
    EXPECT_EQ(parsed(""), "{}");
    EXPECT_EQ(parsed("&&"), "{}");
    EXPECT_EQ(parsed("name=a&count=7&on=true"), R"({"name":"a","count":7,"on":true})");
    EXPECT_EQ(parsed("on=0&count=0.5"), R"({"on":false,"count":0.5})");
    EXPECT_EQ(parsed("name=a%20b%26c+d%2Be"), R"({"name":"a b&c d+e"})");
    EXPECT_EQ(parsed("name="), R"({"name":""})");
    EXPECT_EQ(parsed("name"), R"({"name":""})");
    EXPECT_EQ(parsed("name=a=b"), R"({"name":"a=b"})");
    EXPECT_EQ(parsed("count=7x&on=yes"), R"({"count":"7x","on":"yes"})") << "Fields refuses them";
}

TEST(Query, WhatIsWrongIsOneSentence) {
    EXPECT_EQ(parsed("nam=a"), "nam: is not known here; known are name, count, on");
    EXPECT_EQ(parsed("name=a&name=b"), "name: is given twice; give it once");
    for (const char* broken : {"name=%", "name=%2", "name=%2g", "name=a%-1"})
        EXPECT_EQ(parsed(broken), "name: has a % that two hex digits do not follow") << broken;
    EXPECT_NE(parsed("name=%FF").find("UTF-8"), std::string::npos);
    EXPECT_NE(parsed("%FF=a").find("UTF-8"), std::string::npos);
}

TEST(ExpertsQuery, HasAWindowAlways) {
    const auto plain = readExpertsQuery("");
    ASSERT_TRUE(plain.ok());
    EXPECT_EQ(plain->tokens, kExpertWindow);
    EXPECT_FALSE(plain->seconds || plain->conversation || plain->adapter || plain->stream);
    const auto full = readExpertsQuery(
        "model=starter&conversation=a%20letter&adapter=&seconds=60&tokens=100&stream=1&every=0.5");
    ASSERT_TRUE(full.ok());
    EXPECT_EQ(full->model, "starter");
    EXPECT_EQ(full->conversation, "a letter");
    EXPECT_EQ(full->adapter, "") << "asks for what had none";
    EXPECT_EQ(full->tokens, 100u);
    EXPECT_EQ(full->seconds, 60u);
    EXPECT_TRUE(full->stream);
    EXPECT_EQ(full->everySeconds, 0.5);
    EXPECT_FALSE(readExpertsQuery("seconds=5")->tokens.has_value());
}

TEST(ExpertsQuery, WhatIsWrongIsNamed) {
    const std::pair<const char*, const char*> cases[] = {
        {"tokens=0", "tokens: 0 is out of range; it must be a whole number from 1 to 1000000000"},
        {"tokens=1.5", "tokens: 1.5"},
        {"tokens=many", "tokens: \"many\""},
        {"tokens=", "tokens: \"\""},
        {"seconds=604801", "seconds: 604801 is out of range; it must be a whole number from 1 to 604800"},
        {"stream=maybe", "stream: \"maybe\""},
        {"stream=true&every=0.05", "every: 0.05 is out of range; it must be a number from 0.1 to 60"},
        {"stream=true&every=inf", "every: \"inf\""},
        {"every=1", "every: goes with stream=true"},
        {"conversation=", "conversation: \"\" is out of range; it must be 1 to 64 printable ASCII"},
        {"conversation=a%0Ab", "conversation: "},
        {"owner=7", "owner: is not known here"}};
    for (const auto& [query, begin] : cases) {
        const auto read = readExpertsQuery(query);
        ASSERT_FALSE(read.ok()) << query;
        EXPECT_TRUE(base::render(read.error()).starts_with(begin)) << base::render(read.error());
    }
}

TEST(Conversation, IsAFieldOfEveryRequest) {
    const auto read = [](const std::string& value) {
        const auto json = parseBody("{\"conversation\":" + value + "}");
        Fields fields(*json);
        const Generation generation = readGeneration(fields);
        return fields.error() ? base::render(*fields.error()) : "<" + generation.conversation + ">";
    };
    EXPECT_EQ(read("null"), "<>");
    EXPECT_EQ(read("\"letter 7\""), "<letter 7>");
    const std::string most(64, 'x');
    EXPECT_EQ(read("\"" + most + "\""), "<" + most + ">");
    for (const std::string& bad : {"\"" + most + "x\"", std::string("\"\""), std::string("\"a\\tb\""),
                                   std::string("\"caf\u00e9\""), std::string("7")})
        EXPECT_TRUE(read(bad).starts_with("conversation: ")) << read(bad);
    Generation generation;
    generation.conversation = "x";
    Json body = Json::object();
    writeGeneration(generation, body);
    EXPECT_EQ(dump(body), R"({"conversation":"x"})");
}

TEST(ExpertsSnapshot, IsWrittenWhole) {
    ExpertsSnapshot snapshot{.model = "m", .experts = 2, .chosen = 1, .tokens = 3, .seconds = 1.25};
    snapshot.worstLayer = 4;
    snapshot.layers.push_back({.layer = 4,
                               .counts = {1, 2},
                               .load = ExpertFigures{1.0 / 3, 0.5, 0.9, 0},
                               .floor = ExpertFigures{0.25, 0.5, 0.75, 0}});
    snapshot.layers.push_back({.layer = 5, .counts = {0, 0}, .load = {}, .floor = {}});
    EXPECT_EQ(
        toText(snapshot),
        R"({"object":"experts","model":"m","experts":2,"chosen":1,"window":{"tokens":3,"seconds":1.25},)"
        R"("worst_layer":4,"layers":[)"
        R"({"layer":4,"max_vio":0.333333,"cv":0.5,"entropy":0.9,"dead":0.0,)"
        R"("floor":{"max_vio":0.25,"cv":0.5,"entropy":0.75,"dead":0.0},)"
        R"("counts":[1,2],"shares":[0.333333,0.666667]},)"
        R"({"layer":5,"max_vio":null,"cv":null,"entropy":null,"dead":null,)"
        R"("floor":{"max_vio":null,"cv":null,"entropy":null,"dead":null},"counts":[0,0],"shares":[0.0,0.0]}]})");
}

TEST(ExpertsSnapshot, GoesThereAndBack) {
    ExpertsSnapshot snapshot{.model = "m", .experts = 2, .chosen = 1, .tokens = 3, .seconds = 1.25};
    snapshot.layers.push_back({.layer = 0, .counts = {0, 0}, .load = {}, .floor = {}});
    snapshot.layers.push_back({.layer = 4,
                               .counts = {1, 2},
                               .load = ExpertFigures{0.25, 0.5, 0.875, 0},
                               .floor = ExpertFigures{0.5, 0.75, 0.625, 1}});
    for (const auto& worst : {std::optional<uint32_t>(), std::optional<uint32_t>(4)}) {
        snapshot.worstLayer = worst;
        const auto back = readExpertsSnapshot(toText(snapshot));
        ASSERT_TRUE(back.ok()) << base::render(back.error());
        EXPECT_EQ(toText(*back), toText(snapshot));
        EXPECT_EQ(back->worstLayer, worst);
        EXPECT_FALSE(back->layers[0].load.has_value());
        EXPECT_EQ(back->layers[1].floor->dead, 1);
    }
}

TEST(ExpertsSnapshot, WhatMakesNoSenseIsAnError) {
    for (const char* body :
         {"", "[]", "{}", R"({"experts":2,"layers":7})", R"({"experts":2,"layers":[7]})",
          R"({"experts":2,"layers":[{"layer":0}]})", R"({"experts":2,"layers":[{"layer":0,"counts":[1]}]})",
          R"({"experts":2,"layers":[{"layer":0,"counts":[1,-1]}]})",
          R"({"experts":2,"layers":[{"layer":0,"max_vio":0,"counts":[1,1]}]})",
          R"({"experts":2,"layers":[{"layer":0,"counts":[1,"x"]}]})"})
        EXPECT_FALSE(readExpertsSnapshot(body).ok()) << body;
}

TEST(ExpertsQuery, ClientAndServerMeanTheSame) {
    const auto there = [](const ExpertsQuery& query) {
        const std::string target = expertsTarget(query);
        const size_t mark = std::min(target.find('?'), target.size());
        EXPECT_EQ(target.substr(0, mark), "/conclave/v1/experts");
        return readExpertsQuery(target.substr(std::min(mark + 1, target.size())));
    };
    EXPECT_EQ(expertsTarget({}), "/conclave/v1/experts");
    ExpertsQuery query;
    query.model = "a+b & c=d/模型";
    query.conversation = "50% of #1?";
    query.adapter = "";
    query.tokens = 7;
    query.seconds = 9;
    query.stream = true;
    query.everySeconds = 0.25;
    const auto back = there(query);
    ASSERT_TRUE(back.ok()) << base::render(back.error());
    EXPECT_EQ(back->model, query.model);
    EXPECT_EQ(back->conversation, query.conversation);
    EXPECT_EQ(back->adapter, query.adapter);
    EXPECT_EQ(back->tokens, query.tokens);
    EXPECT_EQ(back->seconds, query.seconds);
    EXPECT_TRUE(back->stream);
    EXPECT_EQ(back->everySeconds, query.everySeconds);
}

}  // namespace
}  // namespace conclave::engine::protocol
