#include <gtest/gtest.h>

#include "engine/protocol/chat.h"
#include "engine/protocol/completion.h"
#include "engine/protocol/errors.h"
#include "engine/protocol/models.h"
#include "engine/protocol/tokenize.h"

namespace conclave::engine::protocol {
namespace {

using base::Code;

base::Result<ChatRequest> chatWith(const std::string& fields) {
    return readChatRequest(R"({"messages":[{"role":"user","content":"hi"}])" +
                           (fields.empty() ? "" : "," + fields) + "}");
}

/// One bad value of one field; the message must hold all three.
struct BadField {
    std::string field, value, range;
};

class RefusedField : public testing::TestWithParam<BadField> {};

TEST_P(RefusedField, NamesFieldValueAndRange) {
    const BadField& row = GetParam();
    const auto request = chatWith("\"" + row.field + "\":" + row.value);
    ASSERT_FALSE(request.ok()) << row.field << " " << row.value;
    EXPECT_EQ(httpStatus(request.error().code), 400);
    EXPECT_EQ(request.error().field, row.field);
    const std::string sentence = base::render(request.error());
    EXPECT_NE(sentence.find(row.field), std::string::npos) << sentence;
    EXPECT_NE(sentence.find(row.value), std::string::npos) << sentence;
    EXPECT_NE(sentence.find(row.range), std::string::npos) << sentence;
}

std::vector<BadField> badFields() {
    std::vector<BadField> rows;
    const auto number = [&rows](const char* field, const char* below, const char* above, const char* range) {
        for (const char* value : {below, above, "2147483648", "9223372036854775808", "-1e+300", "\"\"",
                                  "\"hot\"", "true", "[]", "{}"})
            rows.push_back({field, value, range});
    };
    number("temperature", "-0.001", "5.001", "a number from 0 to 5");
    number("top_p", "-0.001", "1.001", "a number from 0 to 1");
    number("min_p", "-0.001", "1.001", "a number from 0 to 1");
    const auto whole = [&rows](const char* field, std::initializer_list<const char*> values,
                               const char* range) {
        for (const char* value : values)
            rows.push_back({field, value, range});
        for (const char* value :
             {"1.5", "\"\"", "\"7\"", "true", "[]", "{}", "9223372036854775808", "1e+300"})
            rows.push_back({field, value, range});
    };
    whole("top_k", {"-2147483649", "2147483648"}, "a whole number from -2147483648 to 2147483647");
    whole("max_tokens", {"-2", "0", "2147483648"}, "from 1 to 2147483647");
    whole("max_completion_tokens", {"-2", "0", "2147483648"}, "from 1 to 2147483647");
    whole("seed", {"-9.223372036854776e+18"},
          "a whole number from -9223372036854775808 to 9223372036854775807");
    for (const char* value : {"\"\"", "7", "true", "{}", "[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\"]"})
        if (std::string(value).size() < 12) rows.push_back({"stop", value, "a string that is not empty"});
    for (const char* field : {"stream", "add_generation_prompt"})
        for (const char* value : {"\"\"", "\"true\"", "1", "0", "[]", "{}"})
            rows.push_back({field, value, "true or false"});
    for (const char* value : {"7", "true", "[]", "{}"})
        rows.push_back({"model", value, "a string"});
    for (const char* value : {"\"\"", "7", "true", "[]"}) {
        rows.push_back({"stream_options", value, "an object"});
        rows.push_back({"chat_template_kwargs", value, "an object"});
    }
    for (const char* value : {"\"\"", "7", "true", "{}"})
        rows.push_back({"tools", value, "an array"});
    number("typical_p", "-0.001", "1.001", "a number from 0 to 1");
    number("presence_penalty", "-2.001", "2.001", "a number from -2 to 2");
    number("frequency_penalty", "-2.001", "2.001", "a number from -2 to 2");
    number("repetition_penalty", "0", "100.5", "a number from 0.01 to 100");
    number("repeat_penalty", "0", "100.5", "a number from 0.01 to 100");
    whole("repeat_last_n", {"-2", "2147483648"}, "a whole number from -1 to 2147483647");
    whole("min_tokens", {"-1", "2147483648"}, "a whole number from 0 to 2147483647");
    whole("n", {"0", "-1", "17"}, "a whole number from 1 to 16");
    whole("top_logprobs", {"-1", "21"}, "a whole number from 0 to 20");
    for (const char* value : {"1", "0", "\"\"", "[]"}) {
        rows.push_back({"logprobs", value, "true or false"});
        rows.push_back({"ignore_eos", value, "true or false"});
    }
    rows.push_back({"top_logprobs", "3", "0 or absent unless logprobs is true"});
    rows.push_back({"best_of", "2", "it must be 1"});
    for (const char* value : {"7", "true", "\"5\""})
        rows.push_back({"logit_bias", value, "an object of token ids and biases, or an array of [id, bias]"});
    rows.push_back({"response_format", R"({"type":"json_object"})", "absent"});
    rows.push_back({"tool_choice", "\"required\"", "\"auto\" or \"none\""});
    return rows;
}
INSTANTIATE_TEST_SUITE_P(Table, RefusedField, testing::ValuesIn(badFields()));

TEST(ChatRequest, NumbersThatJsonDoesNotHaveAreInvalidJson) {
    for (const char* value : {"NaN", "Infinity", "-Infinity", "nan", "1e999", "+1", "0x10"}) {
        const auto request = chatWith(std::string("\"temperature\":") + value);
        ASSERT_FALSE(request.ok()) << value;
        EXPECT_EQ(request.error().code, Code::InvalidJson) << value;
    }
}

TEST(ChatRequest, NullIsAbsent) {
    const auto request = chatWith(R"("model":null,"temperature":null,"top_p":null,"min_p":null,"top_k":null,
        "max_tokens":null,"max_completion_tokens":null,"seed":null,"stop":null,"stream":null,"stream_options":null,"n":null,
        "logprobs":null,"top_logprobs":null,"logit_bias":null,"presence_penalty":null,"repeat_penalty":null,"min_tokens":null,
        "ignore_eos":null,"typical_p":null,"best_of":null,"tools":null,"tool_choice":null,"chat_template_kwargs":null,"response_format":null)");
    ASSERT_TRUE(request.ok()) << base::render(request.error());
    const Generation& g = request->generation;
    EXPECT_FALSE(g.temperature || g.topP || g.minP || g.topK || g.maxTokens || g.seed);
    EXPECT_TRUE(g.model.empty() && g.stop.empty() && !g.stream && !g.includeUsage);
    EXPECT_FALSE(g.typicalP || g.presencePenalty || g.repetitionPenalty || g.logprobs || g.ignoreEos);
    EXPECT_TRUE(g.n == 1 && g.minTokens == 0 && g.logitBias.empty());
}

TEST(ChatRequest, TakesTheEndsOfEveryRange) {
    for (
        const char* fields :
        {R"("temperature":0,"top_p":0,"min_p":0)", R"("temperature":5,"top_p":1,"min_p":1.0)",
         R"("top_k":2147483647)", R"("max_tokens":2147483647)", R"("seed":9223372036854775807)",
         R"("seed":-9223372036854775808)",
         R"("n":16,"best_of":1,"repeat_last_n":-1,"repetition_penalty":0.01,"repeat_penalty":100)",
         R"("logprobs":true,"top_logprobs":20,"min_tokens":3,"max_tokens":3,"ignore_eos":true)",
         R"("presence_penalty":-2,"frequency_penalty":2,"typical_p":1,"logit_bias":[])",
         R"("n":1,"logprobs":false,"top_logprobs":0,"logit_bias":{},"frequency_penalty":0,"presence_penalty":0.0)",
         R"("response_format":{"type":"text"},"tool_choice":"auto","user":"x","store":false,"anything":{"a":[1]})"})
        EXPECT_TRUE(chatWith(fields).ok()) << fields;
}

TEST(ChatRequest, TopKOffAndMaxTokensAbsent) {
    EXPECT_EQ(chatWith(R"("top_k":-1)")->generation.topK, 0u);
    EXPECT_EQ(chatWith(R"("top_k":0)")->generation.topK, 0u);
    EXPECT_EQ(chatWith(R"("top_k":40.0)")->generation.topK, 40u);
    EXPECT_EQ(chatWith(R"("max_tokens":-1)")->generation.maxTokens, std::nullopt);
    EXPECT_EQ(chatWith(R"("max_tokens":7)")->generation.maxTokens, 7u);
    EXPECT_EQ(chatWith(R"("max_tokens":7,"max_completion_tokens":9)")->generation.maxTokens, 9u);
    EXPECT_EQ(chatWith(R"("seed":-1)")->generation.seed, std::nullopt);
    EXPECT_EQ(chatWith(R"("seed":0)")->generation.seed, 0u);
}

TEST(ChatRequest, TheFirstOfTwoNamesCounts) {
    EXPECT_EQ(chatWith(R"("repeat_penalty":1.5)")->generation.repetitionPenalty, 1.5);
    EXPECT_EQ(chatWith(R"("repeat_penalty":1.5,"repetition_penalty":1.2)")->generation.repetitionPenalty,
              1.2);
}

TEST(ChatRequest, TheLeastIsNotMoreThanTheMost) {
    const auto bad = chatWith(R"("min_tokens":4,"max_tokens":3)");
    ASSERT_FALSE(bad.ok());
    EXPECT_EQ(bad.error().field, "min_tokens");
    EXPECT_TRUE(chatWith(R"("min_tokens":4)").ok());
}

TEST(ChatRequest, LogitBiasHasTwoForms) {
    for (const char* fields :
         {R"("logit_bias":{"5":-100,"0":1.5,"7":false})", R"("logit_bias":[[5,-100],[0,1.5],[7,false]])"}) {
        const auto request = chatWith(fields);
        ASSERT_TRUE(request.ok()) << base::render(request.error());
        const std::vector<TokenBias>& bias = request->generation.logitBias;
        ASSERT_EQ(bias.size(), 3u);
        EXPECT_EQ(bias[0].token, base::TokenId{5});
        EXPECT_EQ(bias[0].bias, -100.0);
        EXPECT_EQ(bias[1].bias, 1.5);
        EXPECT_EQ(bias[2].token, base::TokenId{7});
        EXPECT_FALSE(bias[2].bias);
    }
}

TEST(ChatRequest, LogitBiasIsRefusedWithItsPath) {
    const std::pair<const char*, const char*> rows[] = {
        {R"({"x":1})", "logit_bias"},         {R"({"-1":1})", "logit_bias"},
        {R"({" 5":1})", "logit_bias"},        {R"({"2147483648":1})", "logit_bias"},
        {R"({"5":101})", "logit_bias.5"},     {R"({"5":-100.5})", "logit_bias.5"},
        {R"({"5":"1"})", "logit_bias.5"},     {R"({"5":true})", "logit_bias.5"},
        {R"({"5":null})", "logit_bias.5"},    {R"([5])", "logit_bias[0]"},
        {R"([[5]])", "logit_bias[0]"},        {R"([[5,1],[5,1,1]])", "logit_bias[1]"},
        {R"([["a",1]])", "logit_bias[0][0]"}, {R"([[-1,1]])", "logit_bias[0][0]"},
        {R"([[5,1e9]])", "logit_bias[0][1]"}, {R"([[5,true]])", "logit_bias[0][1]"},
    };
    for (const auto& [value, field] : rows) {
        const auto request = chatWith(std::string("\"logit_bias\":") + value);
        ASSERT_FALSE(request.ok()) << value;
        EXPECT_EQ(request.error().field, field) << base::render(request.error());
        EXPECT_EQ(request.error().code, Code::OutOfRange);
    }
}

TEST(ChatRequest, StopIsOneOrAList) {
    EXPECT_EQ(chatWith(R"("stop":"\n")")->generation.stop, std::vector<std::string>{"\n"});
    EXPECT_EQ(chatWith(R"("stop":["a","b"])")->generation.stop, (std::vector<std::string>{"a", "b"}));
    EXPECT_TRUE(chatWith(R"("stop":[])")->generation.stop.empty());
    std::string many = "\"stop\":[\"0\"";
    for (int i = 1; i < 16; ++i)
        many += ",\"" + std::to_string(i) + "\"";
    EXPECT_TRUE(chatWith(many + "]").ok());
    EXPECT_FALSE(chatWith(many + ",\"16\"]").ok());
    const auto inner = chatWith(R"("stop":["a",""])");
    ASSERT_FALSE(inner.ok());
    EXPECT_EQ(inner.error().field, "stop[1]");
}

TEST(ChatRequest, StreamOptions) {
    EXPECT_TRUE(
        chatWith(R"("stream":true,"stream_options":{"include_usage":true})")->generation.includeUsage);
    const auto bad = chatWith(R"("stream_options":{"include_usage":"yes"})");
    ASSERT_FALSE(bad.ok());
    EXPECT_EQ(bad.error().field, "stream_options.include_usage");
}

struct BadMessages {
    std::string messages, field;
};
class RefusedMessages : public testing::TestWithParam<BadMessages> {};
TEST_P(RefusedMessages, NamesTheFullPath) {
    const auto request = readChatRequest(R"({"messages":)" + GetParam().messages + "}");
    ASSERT_FALSE(request.ok()) << GetParam().messages;
    EXPECT_EQ(request.error().field, GetParam().field) << base::render(request.error());
    EXPECT_EQ(httpStatus(request.error().code), 400);
}
const BadMessages kBadMessages[] = {
    {"null", "messages"},
    {"[]", "messages"},
    {"\"hi\"", "messages"},
    {"{}", "messages"},
    {"[null]", "messages[0]"},
    {"[\"hi\"]", "messages[0]"},
    {R"([{"content":"hi"}])", "messages[0].role"},
    {R"([{"role":"","content":"hi"}])", "messages[0].role"},
    {R"([{"role":"robot","content":"hi"}])", "messages[0].role"},
    {R"([{"role":7,"content":"hi"}])", "messages[0].role"},
    {R"([{"role":"user"}])", "messages[0].content"},
    {R"([{"role":"user","content":null}])", "messages[0].content"},
    {R"([{"role":"assistant"}])", "messages[0].content"},
    {R"([{"role":"user","content":7}])", "messages[0].content"},
    {R"([{"role":"user","content":{}}])", "messages[0].content"},
    {R"([{"role":"user","content":["hi"]}])", "messages[0].content[0]"},
    {R"([{"role":"user","content":[{"text":"hi"}]}])", "messages[0].content[0].type"},
    {R"([{"role":"user","content":[{"type":"text"}]}])", "messages[0].content[0].text"},
    {R"([{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"x"}}]}])",
     "messages[0].content[1].type"},
    {R"([{"role":"user","content":"a"},{"role":"user","content":"b","name":7}])", "messages[1].name"},
    {R"([{"role":"assistant","tool_calls":{}}])", "messages[0].tool_calls"},
    {R"([{"role":"assistant","tool_calls":[{}]}])", "messages[0].tool_calls[0].function"},
    {R"([{"role":"assistant","tool_calls":[{"function":{}}]}])", "messages[0].tool_calls[0].function.name"},
    {R"([{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":7}}]}])",
     "messages[0].tool_calls[0].function.arguments"},
};
INSTANTIATE_TEST_SUITE_P(Table, RefusedMessages, testing::ValuesIn(kBadMessages));

TEST(ChatRequest, MessagesGoToTheTemplateAsTheyCame) {
    const auto request = readChatRequest(R"({"messages":[
        {"role":"developer","content":"be brief"},
        {"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}],"name":"Ann"},
        {"role":"assistant","content":null,"reasoning_content":"hm",
         "tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}]},
        {"role":"tool","tool_call_id":"1","content":"7"}],
        "tools":[{"type":"function","function":{"name":"f"}}],"chat_template_kwargs":{"enable_thinking":false}})");
    ASSERT_TRUE(request.ok()) << base::render(request.error());
    EXPECT_EQ(dump(request->messages[0]), R"({"role":"system","content":"be brief"})");
    EXPECT_EQ(dump(request->messages[1]), R"({"role":"user","content":"a\nb","name":"Ann"})");
    EXPECT_EQ(request->messages[2]["reasoning_content"], "hm");
    EXPECT_EQ(request->messages[2]["tool_calls"][0]["function"]["arguments"], "{\"x\":1}");
    EXPECT_EQ(request->tools.size(), 1u);
    EXPECT_EQ(dump(request->templateOptions), R"({"enable_thinking":false})");
    EXPECT_TRUE(request->addGenerationPrompt);
}

TEST(ChatRequest, ARequestCannotSetWhatTheTemplateTrusts) {
    for (const char* name : {"messages", "tools", "bos_token", "eos_token", "unk_token", "pad_token"}) {
        const auto request = chatWith("\"chat_template_kwargs\":{\"" + std::string(name) + "\":\"<s>\"}");
        ASSERT_FALSE(request.ok()) << name;
        EXPECT_EQ(request.error().field, "chat_template_kwargs." + std::string(name));
    }
    EXPECT_FALSE(chatWith(R"("chat_template_kwargs":{"add_generation_prompt":false})")->addGenerationPrompt);
}

TEST(ChatRequest, ToolChoiceNoneLeavesThemOut) {
    EXPECT_TRUE(chatWith(R"("tools":[{"a":1}],"tool_choice":"none")")->tools.is_null());
}

TEST(ChatRequest, TheBodyMustBeAnObject) {
    for (const char* body : {"[]", "7", "\"x\"", "null"}) {
        const auto request = readChatRequest(body);
        ASSERT_FALSE(request.ok()) << body;
        EXPECT_EQ(request.error().field, "body");
    }
}

TEST(ChatRequest, GoesThereAndBack) {
    ChatRequest request;
    request.generation = {.model = "m",
                          .temperature = 0.5,
                          .topP = 0.9,
                          .minP = 0.1,
                          .typicalP = 0.8,
                          .topK = 3,
                          .presencePenalty = 0.5,
                          .frequencyPenalty = -0.5,
                          .repetitionPenalty = 1.25,
                          .repeatLastN = 64,
                          .logitBias = {{base::TokenId{3}, 1.5}, {base::TokenId{4}, std::nullopt}},
                          .maxTokens = 7,
                          .seed = 18446744073709551615ULL - 1,
                          .minTokens = 2,
                          .ignoreEos = true,
                          .stop = {"x"},
                          .n = 3,
                          .logprobs = 4,
                          .stream = true,
                          .includeUsage = true};
    request.messages.push_back(chatMessage("user", "hallo"));
    request.templateOptions = {{"a", 1}};
    request.addGenerationPrompt = false;
    const auto back = readChatRequest(dump(toJson(request)));
    ASSERT_TRUE(back.ok()) << base::render(back.error());
    EXPECT_EQ(dump(toJson(*back)), dump(toJson(request)));
    EXPECT_EQ(back->generation.seed, request.generation.seed);
}

struct BadPrompt {
    std::string body, field;
};
class RefusedCompletion : public testing::TestWithParam<BadPrompt> {};
TEST_P(RefusedCompletion, NamesTheField) {
    const auto request = readCompletionRequest(GetParam().body);
    ASSERT_FALSE(request.ok()) << GetParam().body;
    EXPECT_EQ(request.error().field, GetParam().field) << base::render(request.error());
}
const BadPrompt kBadPrompts[] = {
    {"{}", "prompt"},
    {R"({"prompt":null})", "prompt"},
    {R"({"prompt":7})", "prompt"},
    {R"({"prompt":{}})", "prompt"},
    {R"({"prompt":[]})", "prompt"},
    {R"({"prompt":["a","b"]})", "prompt"},
    {R"({"prompt":[[1],[2]]})", "prompt"},
    {R"({"prompt":[[]]})", "prompt[0]"},
    {R"({"prompt":[{}]})", "prompt[0]"},
    {R"({"prompt":[1,-1]})", "prompt[1]"},
    {R"({"prompt":[1,2147483648]})", "prompt[1]"},
    {R"({"prompt":[1,1.5]})", "prompt[1]"},
    {R"({"prompt":[1,"a"]})", "prompt[1]"},
    {R"({"prompt":[[1,true]]})", "prompt[0][1]"},
    {R"({"prompt":"a","echo":1})", "echo"},
    {R"({"prompt":"a","suffix":"b"})", "suffix"},
    {R"({"prompt":"a","logprobs":6})", "logprobs"},
    {R"({"prompt":"a","logprobs":-1})", "logprobs"},
    {R"({"prompt":"a","logprobs":true})", "logprobs"},
    {R"({"prompt":"a","logprobs":1,"echo":true})", "logprobs"},
    {R"({"prompt":"a","n":17})", "n"},
    {R"({"prompt":"a","best_of":2})", "best_of"},
    {R"({"prompt":"a","temperature":9})", "temperature"},
};
INSTANTIATE_TEST_SUITE_P(Table, RefusedCompletion, testing::ValuesIn(kBadPrompts));

TEST(CompletionRequest, APromptIsTextOrIds) {
    EXPECT_EQ(std::get<std::string>(readCompletionRequest(R"({"prompt":"a"})")->prompt), "a");
    EXPECT_EQ(std::get<std::string>(readCompletionRequest(R"({"prompt":["a"]})")->prompt), "a");
    using Ids = std::vector<base::TokenId>;
    const Ids ids = {base::TokenId{1}, base::TokenId{2147483647}};
    EXPECT_EQ(std::get<Ids>(readCompletionRequest(R"({"prompt":[1,2147483647]})")->prompt), ids);
    EXPECT_EQ(std::get<Ids>(readCompletionRequest(R"({"prompt":[[1,2147483647]]})")->prompt), ids);
}

TEST(CompletionRequest, GoesThereAndBack) {
    CompletionRequest request;
    request.prompt = std::vector<base::TokenId>{base::TokenId{5}};
    request.echo = true;
    request.addSpecial = false;
    request.parseSpecial = false;
    request.generation.n = 2;
    const auto back = readCompletionRequest(dump(toJson(request)));
    ASSERT_TRUE(back.ok());
    EXPECT_EQ(dump(toJson(*back)), dump(toJson(request)));
    EXPECT_TRUE(back->echo && !back->addSpecial && !back->parseSpecial);
}

TEST(CompletionRequest, ItsPriorityIsANameOrAbsent) {
    EXPECT_FALSE(readCompletionRequest(R"({"prompt":"a"})")->generation.priority.has_value());
    const auto read = readCompletionRequest(R"({"prompt":"a","priority":"background"})");
    ASSERT_TRUE(read.ok());
    EXPECT_EQ(read->generation.priority, base::Priority::Background);
    EXPECT_EQ(readCompletionRequest(R"({"prompt":"a","priority":"first"})").error().field, "priority");
}

TEST(CompletionRequest, LogprobsAreANumber) {
    EXPECT_EQ(readCompletionRequest(R"({"prompt":"a","logprobs":5})")->generation.logprobs, 5u);
    EXPECT_EQ(readCompletionRequest(R"({"prompt":"a","logprobs":0})")->generation.logprobs, 0u);
    for (const char* fields : {R"("logprobs":null)", R"("logprobs":false,"echo":true)"})
        EXPECT_FALSE(
            readCompletionRequest(R"({"prompt":"a",)" + std::string(fields) + "}")->generation.logprobs);
}

TEST(TokenizeRequest, IsCheckedToo) {
    EXPECT_EQ(readTokenizeRequest("{}").error().field, "content");
    EXPECT_EQ(readTokenizeRequest(R"({"content":7})").error().field, "content");
    EXPECT_EQ(readTokenizeRequest(R"({"content":"a","add_special":"x"})").error().field, "add_special");
    EXPECT_EQ(readTokenizeRequest(R"({"content":"a","parse_special":1})").error().field, "parse_special");
    const auto plain = readTokenizeRequest(R"({"content":""})");
    ASSERT_TRUE(plain.ok());
    EXPECT_FALSE(plain->addSpecial || plain->parseSpecial);
    EXPECT_EQ(readDetokenizeRequest("{}").error().field, "tokens");
    EXPECT_EQ(readDetokenizeRequest(R"({"tokens":[1,"a"]})").error().field, "tokens[1]");
    EXPECT_TRUE(readDetokenizeRequest(R"({"tokens":[]})").ok());
    const std::vector<base::TokenId> ids = {base::TokenId{1}, base::TokenId{2}};
    EXPECT_EQ(*readTokens(tokensBody(ids)), ids);
    EXPECT_EQ(*readContent(contentBody("a\n")), "a\n");
}

TEST(LoadRequest, NeedsAnAbsolutePathOrAName) {
    EXPECT_FALSE(readLoadRequest("{}").ok());
    EXPECT_EQ(readLoadRequest(R"({"path":""})").error().field, "path");
    EXPECT_EQ(readLoadRequest(R"({"path":"models/a"})").error().field, "path");
    EXPECT_EQ(readLoadRequest(R"({"path":"/a\u0000b"})").error().field, "path");
    EXPECT_EQ(readLoadRequest(R"({"name":7})").error().field, "name");
    EXPECT_EQ(readLoadRequest(R"({"path":"/a","name":"b"})")->name, "b");
    EXPECT_EQ(readLoadRequest(R"({"name":"b"})")->path, "");
}

}  // namespace
}  // namespace conclave::engine::protocol
