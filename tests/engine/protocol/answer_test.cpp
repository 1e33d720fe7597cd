#include "engine/protocol/answer.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "engine/protocol/engine_info.h"
#include "engine/protocol/errors.h"
#include "engine/protocol/models.h"

namespace conclave::engine::protocol {
namespace {

using base::Code;
using base::Error;

const AnswerHead kHead{AnswerKind::Chat, "chatcmpl-1", 1700000000, "m", "fp", true};

TEST(Answer, ChunksLookLikeOpenAis) {
    EXPECT_EQ(roleChunk(kHead),
              R"({"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"m",)"
              R"("system_fingerprint":"fp","choices":[{"index":0,"delta":{"role":"assistant","content":""},)"
              R"("logprobs":null,"finish_reason":null}],"usage":null})");
    EXPECT_EQ(parseJson(textChunk(kHead, {"hé\n"}))->at("choices")[0].at("delta").dump(),
              R"({"content":"hé\n"})");
    EXPECT_EQ(parseJson(finishChunk(kHead, Finish::Length))->at("choices").dump(),
              R"([{"index":0,"delta":{},"logprobs":null,"finish_reason":"length"}])");
    const Json usage = *parseJson(usageChunk(kHead, {3, 4, 1}));
    EXPECT_EQ(usage.at("choices").dump(), "[]");
    EXPECT_EQ(
        usage.at("usage").dump(),
        R"({"prompt_tokens":3,"completion_tokens":4,"total_tokens":7,"prompt_tokens_details":{"cached_tokens":1}})");
}

TEST(Answer, UsageIsNotNamedUnlessAsked) {
    AnswerHead head = kHead;
    head.includeUsage = false;
    EXPECT_FALSE(parseJson(textChunk(head, {"x"}))->contains("usage"));
}

TEST(Answer, CompletionsCarryText) {
    AnswerHead head = kHead;
    head.kind = AnswerKind::Completion;
    const Json chunk = *parseJson(textChunk(head, {"x"}));
    EXPECT_EQ(chunk.at("object"), "text_completion");
    EXPECT_EQ(chunk.at("choices").dump(), R"([{"index":0,"text":"x","logprobs":null,"finish_reason":null}])");
    const Json whole =
        *parseJson(wholeAnswer(head, std::vector<WholeChoice>{{{"x"}, Finish::Stop}}, {1, 1, 0}));
    EXPECT_EQ(whole.at("choices").dump(),
              R"([{"index":0,"text":"x","logprobs":null,"finish_reason":"stop"}])");
}

const std::vector<TokenScore> kScores = {
    {{"a", -0.5}, {{"a", -0.5}, {"\xC3", -2}}, 0},
    {{"\xC3", -std::numeric_limits<double>::infinity()}, {{"b", -0.25}}, 1},
};

TEST(Answer, ChatLogprobsLookLikeOpenAis) {
    const Json choice = (*parseJson(textChunk(kHead, {"a", 2, kScores})))["choices"][0];
    EXPECT_EQ(choice["index"], 2);
    EXPECT_EQ(choice["logprobs"].dump(),
              R"({"content":[{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[)"
              R"({"token":"a","logprob":-0.5,"bytes":[97]},)"
              "{\"token\":\"\xEF\xBF\xBD\",\"logprob\":-2.0,\"bytes\":[195]}]},"
              "{\"token\":\"\xEF\xBF\xBD\",\"logprob\":-9999.0,\"bytes\":[195],\"top_logprobs\":["
              R"({"token":"b","logprob":-0.25,"bytes":[98]}]}],"refusal":null})");
    const Json whole =
        *parseJson(wholeAnswer(kHead, std::vector<WholeChoice>{{{"a", 0, kScores}, Finish::Stop}}, {}));
    EXPECT_EQ(whole["choices"][0]["logprobs"], choice["logprobs"]);
    EXPECT_TRUE((*parseJson(roleChunk(kHead, 1)))["choices"][0]["logprobs"].is_null());
}

TEST(Answer, CompletionLogprobsLookLikeOpenAis) {
    AnswerHead head = kHead;
    head.kind = AnswerKind::Completion;
    const Json choice = (*parseJson(finishChunk(head, Finish::Stop, {"", 1, kScores})))["choices"][0];
    EXPECT_EQ(choice["logprobs"].dump(), R"({"tokens":["a","bytes:\\xc3"],"token_logprobs":[-0.5,-9999.0],)"
                                         R"("top_logprobs":[{"a":-0.5,"bytes:\\xc3":-2.0},)"
                                         R"({"b":-0.25,"bytes:\\xc3":-9999.0}],"text_offset":[0,1]})");
}

TEST(Answer, IsReadBack) {
    EXPECT_EQ(readAnswer(textChunk(kHead, {"ab"}))->text, "ab");
    EXPECT_EQ(readAnswer(finishChunk(kHead, Finish::Stop))->finish, "stop");
    EXPECT_EQ(readAnswer(usageChunk(kHead, {3, 4, 2}))->usage->cachedTokens, 2u);
    const auto whole = readAnswer(wholeAnswer(
        kHead, std::vector<WholeChoice>{{{"hello"}, Finish::Length}, {{"other", 1}, Finish::Stop}},
        {5, 6, 0}));
    ASSERT_TRUE(whole.ok());
    EXPECT_EQ(whole->text, "hello");
    EXPECT_EQ(whole->finish, "length");
    EXPECT_EQ(whole->usage->completionTokens, 6u);
    EXPECT_EQ(whole->model, "m");
}

TEST(Answer, AnErrorInTheStreamIsThatError) {
    const Error error{Code::InvalidNumbers, {}, {}, {}};
    const auto piece = readAnswer(errorBody(error));
    ASSERT_FALSE(piece.ok());
    EXPECT_EQ(piece.error().code, Code::InvalidNumbers);
}

TEST(Answer, NonsenseIsEngineProtocol) {
    for (const char* text : {"", "{", "[]", "{}", R"({"choices":7})", R"({"choices":[7]})"}) {
        const auto piece = readAnswer(text);
        ASSERT_FALSE(piece.ok()) << text;
        EXPECT_EQ(piece.error().code, Code::EngineProtocol) << text;
    }
}

TEST(Errors, HaveTheShapeOfOpenAi) {
    const Error error{Code::OutOfRange, {}, "temperature", {"9", "a number from 0 to 5"}};
    EXPECT_EQ(errorBody(error),
              R"({"error":{"message":"temperature: 9 is out of range; it must be a number from 0 to 5",)"
              R"("type":"invalid_request_error","param":"temperature","code":"out_of_range",)"
              R"("args":["9","a number from 0 to 5"]}})");
}

TEST(Errors, ComeBackAsTheSameSentence) {
    for (int i = 0; i <= static_cast<int>(Code::Internal); ++i) {
        const Error error{static_cast<Code>(i), "file.gguf", "field", {"one", "two", "three", "four"}};
        const std::optional<Error> back = readError(errorBody(error));
        ASSERT_TRUE(back.has_value());
        EXPECT_EQ(back->code, error.code);
        EXPECT_EQ(base::render(*back), base::render(error));
    }
}

TEST(Errors, OfAnotherEngineKeepTheirWords) {
    const auto foreign =
        readError(R"({"error":{"message":"no tea","type":"x","param":null,"code":"teapot"}})");
    ASSERT_TRUE(foreign.has_value());
    EXPECT_EQ(foreign->code, Code::EngineProtocol);
    EXPECT_NE(base::render(*foreign).find("no tea"), std::string::npos);
    EXPECT_FALSE(readError(R"({"ok":true})").has_value());
    EXPECT_FALSE(readError("not json").has_value());
}

TEST(Errors, StatusOfSomeCodes) {
    EXPECT_EQ(httpStatus(Code::OutOfRange), 400);
    EXPECT_EQ(httpStatus(Code::NoChatTemplate), 400);
    EXPECT_EQ(httpStatus(Code::ContextExceeded), 400);
    EXPECT_EQ(httpStatus(Code::MalformedFile), 400);
    EXPECT_EQ(httpStatus(Code::KvBudget), 400);
    EXPECT_EQ(httpStatus(Code::NotAllowed), 403);
    EXPECT_EQ(httpStatus(Code::UnknownModel), 404);
    EXPECT_EQ(httpStatus(Code::UnknownRoute), 404);
    EXPECT_EQ(httpStatus(Code::MethodNotAllowed), 405);
    EXPECT_EQ(httpStatus(Code::BodyTooLarge), 413);
    EXPECT_EQ(httpStatus(Code::Internal), 500);
    EXPECT_EQ(httpStatus(Code::ShuttingDown), 503);
}

TEST(Models, ListGoesThereAndBack) {
    const std::vector<ModelRow> rows = {{"a", 5, true, "/m/a", 77}, {"b", 0, false, "/m/b.gguf", 0}};
    const auto back = readModelList(modelList(rows));
    ASSERT_TRUE(back.ok());
    ASSERT_EQ(back->size(), 2u);
    EXPECT_EQ(modelList(*back), modelList(rows));
    EXPECT_EQ(
        modelObject(rows[1]),
        R"({"id":"b","object":"model","created":0,"owned_by":"conclave","root":"/m/b.gguf","parent":null,)"
        R"("conclave":{"loaded":false,"path":"/m/b.gguf","bytes":0}})");
}

TEST(Models, LoadEventsGoThereAndBack) {
    const auto progress = readLoadEvent(kProgressEvent, toText(LoadProgress{"read weights", 3, 9}));
    ASSERT_TRUE(progress.ok());
    EXPECT_EQ(std::get<LoadProgress>(*progress).done, 3u);
    const auto ready = readLoadEvent(kReadyEvent, toText(LoadReady{"m", {"careful"}}));
    ASSERT_TRUE(ready.ok());
    EXPECT_EQ(std::get<LoadReady>(*ready).warnings.size(), 1u);
    const auto error = readLoadEvent(kErrorEvent, errorBody({Code::FileEmpty, "f", {}, {}}));
    ASSERT_TRUE(error.ok());
    EXPECT_EQ(std::get<Error>(*error).code, Code::FileEmpty);
    EXPECT_FALSE(readLoadEvent("surprise", "{}").ok());
    EXPECT_FALSE(readLoadEvent(kReadyEvent, "nonsense").ok());
}

TEST(Models, NamesInPathsAreEncoded) {
    for (const char* name : {"starter", "a b", "a/b", "模型-1.gguf", "50%", "q?x#y"})
        EXPECT_EQ(modelInTarget(modelTarget("", name)), name);
    EXPECT_EQ(modelTarget("/v1/models/", "a b"), "/v1/models/a%20b");
    for (const char* broken : {"%", "%4", "%zz", "a%-1"})
        EXPECT_EQ(modelInTarget(broken), "") << broken;
}

TEST(EngineInfo, GoesThereAndBack) {
    EngineInfo info;
    info.version = "1.2.3";
    info.protocol = kProtocol;
    info.pid = 42;
    info.models.push_back({"m", "/m", "deepseek", "m-sha", "ref-f32", 1024, true, {"w"}});
    info.models.push_back({"steered", "/s", "mixtral", "s-sha", "ref-f32", 512, false, {}});
    info.models.back().router = RouterWish{0.7, 4, 0.25, {{3, 17, 2.5}, {std::nullopt, 5, std::nullopt}}};
    info.limits = {1, 2, 3, 4};
    const auto back = readEngineInfo(toText(info));
    ASSERT_TRUE(back.ok());
    EXPECT_EQ(toText(*back), toText(info));
    EXPECT_FALSE(back->models[0].router.has_value());
    ASSERT_TRUE(back->models[1].router.has_value());
    EXPECT_EQ(back->models[1].router->bias.size(), 2u);
    EXPECT_EQ(readEngineInfo("{}").error().code, Code::EngineProtocol);
    EXPECT_EQ(readEngineInfo("<html>").error().code, Code::EngineProtocol);
}

TEST(Sequences, GoThereAndBack) {
    const std::vector<SequenceRow> rows = {{7, "m", "chat", "decode", 1, 2, 3}};
    EXPECT_EQ(toText(*readSequences(toText(rows))), toText(rows));
}

}  // namespace
}  // namespace conclave::engine::protocol
