// What well-behaved clients ask for, and the sentences that refuse what cannot be.
#include "tests/engine/server/server_fixture.h"

namespace conclave::engine::testing {
namespace {

using base::Code;
using protocol::Json;

/// The data of every event of a stream.
std::vector<std::string> eventsOf(const std::string& body) {
    protocol::SseParser parser;
    std::vector<std::string> data;
    for (const protocol::SseEvent& event : parser.push(body))
        data.push_back(event.data);
    return data;
}

TEST_F(ServerTest, HealthBeforeAnyModel) {
    start();
    EXPECT_EQ(call("GET", "/health").body, R"({"status":"ok"})");
    EXPECT_EQ(json(call("GET", "/v1/models").body)["data"].size(), 0u);
    const auto chat = post("/v1/chat/completions", chatBody("hi"));
    EXPECT_EQ(chat.status, 400);
    EXPECT_EQ(codeOf(chat), "no_model_chosen");
}

TEST_F(ServerTest, ModelsAreListed) {
    startWithModel();
    const Json list = json(call("GET", "/v1/models").body);
    ASSERT_EQ(list["data"].size(), 1u);
    EXPECT_EQ(list["object"], "list");
    EXPECT_EQ(list["data"][0]["id"], "marker");
    EXPECT_EQ(list["data"][0]["object"], "model");
    EXPECT_EQ(list["data"][0]["conclave"]["loaded"], true);
    EXPECT_EQ(json(call("GET", "/v1/models/marker").body)["id"], "marker");
    const auto missing = call("GET", "/v1/models/other");
    EXPECT_EQ(missing.status, 404);
    EXPECT_EQ(codeOf(missing), "unknown_model");
}

TEST_F(ServerTest, AWholeAnswer) {
    startWithModel();
    const auto response = post("/v1/chat/completions", chatBody("[a*3]", R"("model":"marker")"));
    ASSERT_EQ(response.status, 200) << response.body;
    const Json body = json(response.body);
    EXPECT_EQ(body["object"], "chat.completion");
    EXPECT_EQ(body["model"], "marker");
    EXPECT_EQ(body["choices"].size(), 1u);
    EXPECT_EQ(body["choices"][0]["message"]["role"], "assistant");
    EXPECT_EQ(body["choices"][0]["message"]["content"], markerText("a", 3));
    EXPECT_EQ(body["choices"][0]["finish_reason"], "stop");
    EXPECT_EQ(body["usage"]["prompt_tokens"], 8);  // <s> <|user|> [a*3] <|assistant|>
    EXPECT_GT(body["usage"]["completion_tokens"], 10);
    EXPECT_TRUE(body["id"].get<std::string>().starts_with("chatcmpl-"));
}

TEST_F(ServerTest, AStreamInTheOrderOfOpenAi) {
    startWithModel();
    const auto response = post("/v1/chat/completions",
                               chatBody("[a*4]", R"("stream":true,"stream_options":{"include_usage":true})"));
    EXPECT_TRUE(response.contentType.starts_with("text/event-stream")) << response.contentType;
    const std::vector<std::string> data = eventsOf(response.body);
    ASSERT_GE(data.size(), 5u) << response.body;
    EXPECT_EQ(data.back(), "[DONE]");
    std::string text, id;
    for (size_t i = 0; i + 1 < data.size(); ++i) {
        const Json chunk = json(data[i]);
        EXPECT_EQ(chunk["object"], "chat.completion.chunk");
        if (id.empty()) id = chunk["id"];
        EXPECT_EQ(chunk["id"], id);
        const bool usage = i + 2 == data.size(), finish = i + 3 == data.size();
        EXPECT_EQ(chunk["usage"].is_null(), !usage) << data[i];
        if (usage) {
            EXPECT_TRUE(chunk["choices"].empty());
            continue;
        }
        const Json& choice = chunk["choices"][0];
        EXPECT_EQ(choice["delta"].contains("role"), i == 0) << data[i];
        if (finish)
            EXPECT_EQ(choice["finish_reason"], "stop");
        else
            EXPECT_TRUE(choice["finish_reason"].is_null()) << data[i];
        text += choice["delta"].value("content", "");
    }
    EXPECT_EQ(text, markerText("a", 4));
}

TEST_F(ServerTest, WithoutAskingThereIsNoUsage) {
    startWithModel();
    const auto data = eventsOf(post("/v1/chat/completions", chatBody("[a*1]", R"("stream":true)")).body);
    for (const std::string& event : data)
        EXPECT_EQ(event.find("usage"), std::string::npos) << event;
}

TEST_F(ServerTest, AnAnswerEndsWhereItIsTold) {
    startWithModel(withContext(128));
    const auto finish = [this](const std::string& content, const std::string& fields) {
        const Json body = json(post("/v1/chat/completions", chatBody(content, fields)).body);
        return std::pair(body["choices"][0]["finish_reason"].get<std::string>(),
                         body["choices"][0]["message"]["content"].get<std::string>());
    };
    EXPECT_EQ(finish("[a]", R"("max_tokens":3)"), std::pair(std::string("length"), std::string("a:0")));
    EXPECT_EQ(finish("[a]", R"("max_tokens":9,"max_completion_tokens":1)").second, "a");
    EXPECT_EQ(finish("[a]", R"("stop":" a:2")"), std::pair(std::string("stop"), std::string("a:0 a:1")));
    EXPECT_EQ(finish("[a]", R"("stop":["x","a:1"])").second, "a:0 ");
    EXPECT_EQ(finish("[a]", R"("max_tokens":-1)").first, "length");  // the context is full
    EXPECT_EQ(finish("[a]", R"("max_tokens":100000)").first, "length");
}

TEST_F(ServerTest, APromptBeyondTheContextNamesBothNumbers) {
    startWithModel(withContext(64));
    const auto response =
        post("/v1/completions", R"({"prompt":")" + std::string(100, 'x') + R"(","stream":true})");
    EXPECT_EQ(response.status, 400);
    EXPECT_EQ(codeOf(response), "context_exceeded");
    EXPECT_NE(response.body.find("101"), std::string::npos) << response.body;
    EXPECT_NE(response.body.find("64"), std::string::npos) << response.body;
}

TEST_F(ServerTest, CompletionsOfTextAndTokens) {
    startWithModel();
    const Json text = json(post("/v1/completions", R"({"prompt":"[b*2]","echo":true})").body);
    EXPECT_EQ(text["object"], "text_completion");
    EXPECT_EQ(text["choices"][0]["text"], "[b*2]" + markerText("b", 2));
    EXPECT_EQ(text["usage"]["prompt_tokens"], 6);
    const Json tokens = json(post("/v1/completions", R"({"prompt":[91,98,42,50,93]})").body);
    EXPECT_EQ(tokens["choices"][0]["text"], markerText("b", 2));
    EXPECT_EQ(tokens["usage"]["prompt_tokens"], 5);
    const auto outside = post("/v1/completions", R"({"prompt":[1,9999]})");
    EXPECT_EQ(outside.status, 400);
    EXPECT_EQ(codeOf(outside), "token_out_of_range");
    const auto empty = post("/v1/completions", R"({"prompt":"","add_special":false})");
    EXPECT_EQ(empty.status, 400);
    EXPECT_EQ(codeOf(empty), "bad_argument");
    const auto stream =
        eventsOf(post("/v1/completions", R"({"prompt":"[b*1]","stream":true,"echo":true})").body);
    ASSERT_GE(stream.size(), 3u);
    EXPECT_EQ(json(stream[0])["choices"][0]["text"], "[b*1]");
    EXPECT_EQ(json(stream[stream.size() - 2])["choices"][0]["finish_reason"], "stop");
    EXPECT_EQ(stream.back(), "[DONE]");
}

TEST_F(ServerTest, ControlTokensOnlyWhereTheyAreMeant) {
    startWithModel();
    const auto count = [this](const std::string& path, const std::string& body) {
        return json(post(path, body).body)["usage"]["prompt_tokens"].get<int>();
    };
    EXPECT_EQ(count("/v1/completions", R"({"prompt":"</s>x","max_tokens":1})"), 3);
    EXPECT_EQ(count("/v1/completions", R"({"prompt":"</s>x","max_tokens":1,"parse_special":false})"), 6);
    EXPECT_EQ(count("/v1/completions", R"({"prompt":"</s>x","max_tokens":1,"add_special":false})"), 2);
    EXPECT_EQ(count("/v1/completions", R"({"prompt":"<s>x","max_tokens":1})"), 2);  // not two of them
    EXPECT_EQ(count("/v1/chat/completions", chatBody("</s>x", R"("max_tokens":1)")), 8);
}

TEST_F(ServerTest, TokensThereAndBack) {
    startWithModel();
    EXPECT_EQ(post("/tokenize", R"({"content":"h\u00e9</s>"})").body,
              R"({"tokens":[104,195,169,60,47,115,62]})");
    EXPECT_EQ(post("/tokenize", R"({"content":"a</s>","add_special":true,"parse_special":true})").body,
              R"({"tokens":[256,97,257]})");
    EXPECT_EQ(post("/tokenize", R"({"content":""})").body, R"({"tokens":[]})");
    EXPECT_EQ(post("/detokenize", R"({"tokens":[104,195,169]})").body, R"({"content":"hé"})");
    EXPECT_EQ(post("/detokenize", R"({"tokens":[104,195]})").body, "{\"content\":\"h\xef\xbf\xbd\"}");
    EXPECT_EQ(post("/detokenize", R"({"tokens":[70000]})").status, 400);
    EXPECT_EQ(post("/tokenize", R"({"content":"a","model":"nobody"})").status, 404);
}

TEST_F(ServerTest, WhichModelIsMeant) {
    library_->publish(makeMarkerModel("one"));
    library_->publish(makeMarkerModel("two"));
    options_.facts.defaultModel = "two";
    start();
    EXPECT_EQ(json(post("/v1/chat/completions", chatBody("[a*1]")).body)["model"], "two");
    EXPECT_EQ(json(post("/v1/chat/completions", chatBody("[a*1]", R"("model":"one")")).body)["model"], "one");
    const auto unknown = post("/v1/chat/completions", chatBody("[a*1]", R"("model":"three")"));
    EXPECT_EQ(unknown.status, 404);
    EXPECT_EQ(codeOf(unknown), "unknown_model");
    const auto path = post("/v1/chat/completions", chatBody("[a*1]", R"("model":"/etc/passwd")"));
    EXPECT_EQ(path.status, 404);
}

TEST_F(ServerTest, TwoLoadedAndNoneNamed) {
    library_->publish(makeMarkerModel("one"));
    library_->publish(makeMarkerModel("two"));
    start();
    const auto response = post("/v1/chat/completions", chatBody("[a*1]"));
    EXPECT_EQ(response.status, 400);
    EXPECT_EQ(codeOf(response), "no_model_chosen");
}

TEST_F(ServerTest, WithoutATemplateChatIsRefused) {
    MarkerOptions marker;
    marker.chatTemplate = false;
    startWithModel(marker);
    const auto response = post("/v1/chat/completions", chatBody("[a*1]"));
    EXPECT_EQ(response.status, 400);
    EXPECT_EQ(codeOf(response), "no_chat_template");
    EXPECT_NE(response.body.find("/v1/completions"), std::string::npos);
    EXPECT_EQ(post("/v1/completions", R"({"prompt":"[a*1]"})").status, 200);
}

TEST_F(ServerTest, TheModelsOwnDefaultsCountAfterTheRequests) {
    auto model = std::make_shared<library::LoadedModel>(*makeMarkerModel("marker"));
    model->defaults.temperature = 0.0f;
    model->defaults.maxTokens = 4;
    library_->publish(model);
    start();
    const auto text = [this](const std::string& fields) {
        return json(post("/v1/chat/completions", chatBody("[w~]", fields))
                        .body)["choices"][0]["message"]["content"]
            .get<std::string>();
    };
    EXPECT_EQ(text("").size(), 4u);
    EXPECT_EQ(text(R"("seed":1)"), text(R"("seed":2)"));  // greedy
    EXPECT_NE(text(R"("seed":1,"temperature":5,"max_tokens":40)"),
              text(R"("seed":2,"temperature":5,"max_tokens":40)"));
    EXPECT_EQ(text(R"("seed":7,"temperature":5,"max_tokens":40)"),
              text(R"("seed":7,"temperature":5,"max_tokens":40)"));
}

TEST_F(ServerTest, InvalidNumbersEndTheRequestAlone) {
    startWithModel();
    const auto whole = post("/v1/chat/completions", chatBody("[a!2]"));
    EXPECT_EQ(whole.status, 500);
    EXPECT_EQ(codeOf(whole), "invalid_numbers");
    const auto data = eventsOf(post("/v1/chat/completions", chatBody("[a!2]", R"("stream":true)")).body);
    ASSERT_FALSE(data.empty());
    EXPECT_EQ(json(data.back())["error"]["code"], "invalid_numbers");
    for (const std::string& event : data)
        EXPECT_NE(event, "[DONE]");
    EXPECT_EQ(post("/v1/chat/completions", chatBody("[a*2]")).status, 200);
}

struct Refused {
    std::string method, path, body, type;
    int status;
    std::string code, param;
};

TEST_F(ServerTest, RefusalsHaveStatusCodeAndField) {
    startWithModel();
    const std::string json_ = "application/json";
    const Refused rows[] = {
        {"GET", "/", "", "", 404, "unknown_route", "/"},
        {"GET", "/v1", "", "", 404, "unknown_route", "/v1"},
        {"GET", "/v1/models/", "", "", 404, "unknown_route", "/v1/models/"},
        {"POST", "/v1/embeddings", "{}", json_, 404, "unknown_route", "/v1/embeddings"},
        {"GET", "/v1/chat/completions", "", "", 405, "method_not_allowed", "/v1/chat/completions"},
        {"PUT", "/v1/models", "{}", json_, 405, "method_not_allowed", "/v1/models"},
        {"OPTIONS", "/v1/models", "", "", 405, "method_not_allowed", "/v1/models"},
        {"DELETE", "/health", "", "", 405, "method_not_allowed", "/health"},
        {"POST", "/v1/chat/completions", "{}", "text/plain", 415, "bad_argument", "Content-Type"},
        {"POST", "/v1/chat/completions", "{}", "", 415, "bad_argument", "Content-Type"},
        {"POST", "/v1/chat/completions", "", json_, 400, "invalid_json", ""},
        {"POST", "/v1/chat/completions", "{", json_, 400, "invalid_json", ""},
        {"POST", "/v1/chat/completions", "{\"a\":\"\xff\"}", json_, 400, "invalid_utf8", "JSON"},
        {"POST", "/v1/chat/completions", chatBody("x", R"("temperature":6)"), json_, 400, "out_of_range",
         "temperature"},
        {"POST", "/v1/chat/completions", chatBody("x", R"("n":17)"), json_, 400, "out_of_range", "n"},
        {"POST", "/v1/completions", R"({"prompt":"x","top_p":1.1})", json_, 400, "out_of_range", "top_p"},
        {"POST", "/conclave/v1/models", "{}", json_, 400, "bad_argument", "path"},
        {"POST", "/conclave/v1/models", R"({"path":"/nowhere/x.gguf"})", json_, 400, "file_not_found", ""},
        {"POST", "/conclave/v1/models", R"({"path":"/dev/null"})", json_, 400, "file_not_regular", ""},
        {"POST", "/conclave/v1/models", R"({"path":"/etc/passwd"})", json_, 400, "", ""},
        {"POST", "/conclave/v1/models", R"({"name":"nobody"})", json_, 404, "unknown_model", ""},
        {"DELETE", "/conclave/v1/models/nobody", "", "", 404, "unknown_model", ""},
    };
    for (const Refused& row : rows) {
        RawClient client(socket_);
        client.send(row.method + " " + row.path + " HTTP/1.1\r\nHost: x\r\n" +
                    (row.type.empty() ? "" : "Content-Type: " + row.type + "\r\n") +
                    "Content-Length: " + std::to_string(row.body.size()) + "\r\n\r\n" + row.body);
        const auto response = client.response();
        ASSERT_TRUE(response.has_value()) << row.method << " " << row.path;
        EXPECT_EQ(response->status, row.status) << row.method << " " << row.path << response->body;
        const Json body = json(response->body);
        ASSERT_TRUE(body.contains("error")) << response->body;
        const Json& error = body["error"];
        for (const char* key : {"message", "type", "param", "code"})
            EXPECT_TRUE(error.contains(key)) << response->body;
        EXPECT_TRUE(row.code.empty() || error["code"] == row.code) << response->body;
        EXPECT_TRUE(row.param.empty() || error["param"] == row.param) << response->body;
        EXPECT_EQ(response->headers.contains("allow"), row.status == 405) << row.path;
    }
}

TEST_F(ServerTest, WhatTheEngineSaysOfItself) {
    options_.facts.kernels = "reference";
    startWithModel(withContext(777));
    const auto info = engine().info();
    ASSERT_TRUE(info.ok()) << base::render(info.error());
    EXPECT_EQ(info->protocol, protocol::kProtocol);
    EXPECT_EQ(info->pid, ::getpid());
    EXPECT_EQ(info->threads, 1u);
    EXPECT_EQ(info->kernels, "reference");
    EXPECT_EQ(info->socket, socket_);
    EXPECT_EQ(info->requests, 0u);
    ASSERT_EQ(info->models.size(), 1u);
    EXPECT_EQ(info->models[0].context, 777u);
    EXPECT_TRUE(info->models[0].chat);
    EXPECT_EQ(info->limits.connections, 256u);
}

TEST_F(ServerTest, LoadingARealModelThenForgettingIt) {
    const std::string path = std::string(CONCLAVE_SOURCE_DIR) + "/tests/fixtures/models/llama-tiny";
    start();
    std::vector<std::string> stages;
    const auto ready =
        engine().loadModel({.path = path, .name = "tiny"}, [&](const protocol::LoadProgress& progress) {
            EXPECT_LE(progress.done, progress.total);
            stages.push_back(progress.stage);
        });
    ASSERT_TRUE(ready.ok()) << base::render(ready.error());
    EXPECT_EQ(ready->id, "tiny");
    EXPECT_FALSE(stages.empty());
    EXPECT_TRUE(engine().loadModel({.path = {}, .name = "tiny"}).ok());  // it is there
    const auto answer =
        post("/v1/completions", R"({"model":"tiny","prompt":"Hello","max_tokens":4,"temperature":0})");
    EXPECT_EQ(answer.status, 200) << answer.body;
    EXPECT_TRUE(engine().unloadModel("tiny").ok());
    EXPECT_EQ(post("/v1/completions", R"({"model":"tiny","prompt":"Hello"})").status, 404);
}

TEST_F(ServerTest, ManyStreamsAtOnceEachItsOwnWords) {
    startWithModel();
    std::vector<std::thread> threads;
    std::vector<std::string> texts(24);
    for (size_t i = 0; i < texts.size(); ++i)
        threads.emplace_back([this, i, &texts] {
            protocol::ChatRequest request;
            request.messages.push_back(protocol::chatMessage("user", "[s" + std::to_string(i) + "*12]"));
            const client::Answer answer = engine().chat(std::move(request));
            texts[i] = answer.failed ? base::render(*answer.failed) : answer.text;
        });
    for (std::thread& thread : threads)
        thread.join();
    for (size_t i = 0; i < texts.size(); ++i)
        EXPECT_EQ(texts[i], markerText("s" + std::to_string(i), 12));
}

}  // namespace
}  // namespace conclave::engine::testing
