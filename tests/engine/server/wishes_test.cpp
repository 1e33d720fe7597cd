// Several choices, log probabilities, bias and least lengths over the wire.
#include <set>

#include "tests/engine/server/server_fixture.h"

namespace conclave::engine::testing {
namespace {

using protocol::Json;

/// One choice, put together from the chunks of a stream.
struct Streamed {
    std::string text, finish;
    int roles = 0;
    Json logprobs = Json::array();  ///< the entries of chat's content
    std::vector<std::string> pieces;
    std::vector<size_t> tokensOfPieces;
};

class WishesTest : public ServerTest {
  protected:
    Json ask(const std::string& content, const std::string& fields) {
        const auto response = post("/v1/chat/completions", chatBody(content, fields));
        EXPECT_EQ(response.status, 200) << response.body;
        return json(response.body);
    }

    std::vector<Streamed> stream(size_t choices, const std::string& content, const std::string& fields) {
        std::vector<Streamed> out(choices);
        const auto response = post("/v1/chat/completions", chatBody(content, "\"stream\":true," + fields));
        protocol::SseParser parser;
        for (const protocol::SseEvent& event : parser.push(response.body)) {
            if (event.data == protocol::kDone) continue;
            const Json chunk = json(event.data);
            if (chunk.contains("usage") && !chunk["usage"].is_null()) usage_ = chunk["usage"];
            for (const Json& choice : chunk["choices"])
                add(choice, out.at(choice["index"].get<size_t>()));
        }
        return out;
    }

    Json usage_;

  private:
    static void add(const Json& choice, Streamed& to) {
        EXPECT_TRUE(to.finish.empty()) << "a chunk after the finish";
        const Json& delta = choice["delta"];
        to.roles += delta.contains("role") ? 1 : 0;
        if (choice["finish_reason"].is_string()) to.finish = choice["finish_reason"];
        size_t tokens = 0;
        if (!choice["logprobs"].is_null())
            for (const Json& entry : choice["logprobs"]["content"]) {
                to.logprobs.push_back(entry);
                ++tokens;
            }
        const std::string text = delta.value("content", "");
        to.text += text;
        if (text.empty()) return;
        to.pieces.push_back(text);
        to.tokensOfPieces.push_back(tokens);
    }
};

TEST_F(WishesTest, ThreeChoicesWholeAndStreamedAreTheSame) {
    startWithModel();
    const std::string fields = R"("n":3,"seed":5,"temperature":1,"max_tokens":30)";
    const Json whole = ask("[w~]", fields);
    ASSERT_EQ(whole["choices"].size(), 3u);
    std::vector<std::string> texts;
    for (size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(whole["choices"][i]["index"], i);
        EXPECT_EQ(whole["choices"][i]["finish_reason"], "length");
        texts.push_back(whole["choices"][i]["message"]["content"]);
        EXPECT_EQ(texts.back().size(), 30u);
    }
    EXPECT_TRUE(texts[0] != texts[1] && texts[1] != texts[2] && texts[0] != texts[2]);
    EXPECT_EQ(whole["usage"]["completion_tokens"], 90);
    EXPECT_EQ(whole["usage"]["prompt_tokens"], 7);  // <s> <|user|> [w~] <|assistant|>
    const std::vector<Streamed> choices =
        stream(3, "[w~]", fields + R"(,"stream_options":{"include_usage":true})");
    for (size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(choices[i].text, texts[i]);
        EXPECT_EQ(choices[i].roles, 1);
        EXPECT_EQ(choices[i].finish, "length");
    }
    EXPECT_EQ(usage_["completion_tokens"], 90);
    EXPECT_EQ(ask("[w~]", R"("seed":5,"temperature":1,"max_tokens":30)")["choices"][0]["message"]["content"],
              texts[0])
        << "the first choice is the answer to a single request";
}

TEST_F(WishesTest, AClientThatLeavesEndsEveryChoice) {
    startWithModel(slow());
    {
        RawClient client(socket_);
        const std::string body = chatBody("[a]", R"("n":8,"stream":true)");
        client.send("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                    "Content-Length: " +
                    std::to_string(body.size()) + "\r\n\r\n" + body);
        EXPECT_TRUE(soon([&] { return scheduler_->sequences(base::OwnerId{::getuid()}).size() == 8; }));
        EXPECT_TRUE(soon([&] { return scheduler_->stats().generatedTokens > 8; }));
    }
    EXPECT_TRUE(soon([&] { return idle(); }));
}

TEST_F(WishesTest, AChoiceThatFailsEndsTheOthers) {
    startWithModel(slow());
    const auto response = post("/v1/chat/completions", chatBody("[a!2]", R"("n":4)"));
    EXPECT_EQ(response.status, 500) << response.body;
    EXPECT_EQ(codeOf(response), "invalid_numbers");
    EXPECT_TRUE(soon([&] { return idle(); }));
}

TEST_F(WishesTest, LogprobsOfAChat) {
    startWithModel();
    const Json whole = ask("[é*1]", R"("logprobs":true,"top_logprobs":2)");
    const Json& content = whole["choices"][0]["logprobs"]["content"];
    EXPECT_EQ(content.size(), whole["usage"]["completion_tokens"]) << "the end token too";
    std::string bytes;
    for (size_t i = 0; i + 1 < content.size(); ++i) {
        EXPECT_NEAR(content[i]["logprob"].get<double>(), 0, 1e-12);
        EXPECT_EQ(content[i]["top_logprobs"].size(), 2u);
        EXPECT_EQ(content[i]["top_logprobs"][0]["bytes"], content[i]["bytes"]);
        EXPECT_NEAR(content[i]["top_logprobs"][1]["logprob"].get<double>(), -40, 1e-9);
        for (const Json& byte : content[i]["bytes"])
            bytes += static_cast<char>(byte.get<int>());
    }
    EXPECT_EQ(bytes, whole["choices"][0]["message"]["content"].get<std::string>());
    EXPECT_EQ(content[content.size() - 1]["token"], "</s>");
    EXPECT_EQ(content[0]["token"], "\xEF\xBF\xBD") << "half a character";
    EXPECT_TRUE(ask("[a*1]", "")["choices"][0]["logprobs"].is_null());
}

TEST_F(WishesTest, AStreamTellsTheLogprobsOfExactlyItsText) {
    startWithModel();
    const std::vector<Streamed> choices =
        stream(2, "[é*3]", R"("n":2,"logprobs":true,"stop":["é:2 never","3"])");
    for (const Streamed& choice : choices) {
        EXPECT_EQ(choice.text, markerText("é", 3));
        EXPECT_EQ(choice.logprobs.size(), choice.text.size() + 1) << "a byte a token, and the end token";
        for (size_t i = 0; i < choice.pieces.size(); ++i)
            EXPECT_EQ(choice.tokensOfPieces[i], choice.pieces[i].size()) << choice.pieces[i];
        EXPECT_TRUE(choice.logprobs[0]["top_logprobs"].empty());
    }
    const std::vector<Streamed> stopped = stream(1, "[a*9]", R"("logprobs":true,"stop":" a:2")");
    EXPECT_EQ(stopped[0].text, "a:0 a:1");
    EXPECT_EQ(stopped[0].finish, "stop");
    EXPECT_EQ(stopped[0].logprobs.size(), 11u) << "the tokens of the stop string come with the finish";
}

TEST_F(WishesTest, LogprobsOfACompletion) {
    startWithModel();
    const auto response = post("/v1/completions", R"({"prompt":"[é*1]","logprobs":1})");
    ASSERT_EQ(response.status, 200) << response.body;
    const Json choice = json(response.body)["choices"][0];
    EXPECT_EQ(choice["text"], "é:0");
    EXPECT_EQ(choice["logprobs"]["tokens"].dump(), R"(["bytes:\\xc3","bytes:\\xa9",":","0","</s>"])");
    EXPECT_EQ(choice["logprobs"]["text_offset"].dump(), "[0,0,1,2,3]");
    EXPECT_EQ(choice["logprobs"]["token_logprobs"].size(), 5u);
    EXPECT_EQ(choice["logprobs"]["top_logprobs"][2].size(), 1u);
    EXPECT_TRUE(choice["logprobs"]["top_logprobs"][2].contains(":"));
}

TEST_F(WishesTest, BiasMinimumAndIgnoredEnd) {
    startWithModel();
    const auto text = [&](const std::string& fields) {
        return ask("[a*2]", fields)["choices"][0]["message"]["content"].get<std::string>();
    };
    EXPECT_EQ(text(R"("logit_bias":{"122":100},"max_tokens":4)"), "zzzz");
    EXPECT_EQ(text(R"("logit_bias":[[122,100],[122,false]],"max_tokens":4)"), "a:0 ");
    EXPECT_EQ(text(R"("temperature":0,"logit_bias":{"97":false,"98":1},"max_tokens":1)"), "b");
    EXPECT_GE(ask("[a*2]", R"("min_tokens":20,"max_tokens":25)")["usage"]["completion_tokens"], 20);
    EXPECT_EQ(ask("[a*2]", R"("ignore_eos":true,"max_tokens":25)")["usage"]["completion_tokens"], 25);
    const auto outside = post("/v1/chat/completions", chatBody("x", R"("logit_bias":{"9999":1})"));
    EXPECT_EQ(outside.status, 400);
    EXPECT_EQ(codeOf(outside), "token_out_of_range");
    EXPECT_EQ(json(outside.body)["error"]["param"], "logit_bias");
}

TEST_F(WishesTest, PenaltiesAndTheModelsOwn) {
    auto model = std::make_shared<library::LoadedModel>(*makeMarkerModel("marker"));
    model->defaults.repetitionPenalty = 100.0f;
    library_->publish(model);
    start();
    // Each letter once: 40 / 100 is less than what a letter that was not yet there has.
    const auto letters = [&](const std::string& fields) {
        const std::string text =
            ask("[w~]", R"("temperature":0,"max_tokens":20,)" + fields)["choices"][0]["message"]["content"];
        return std::set<char>(text.begin(), text.end()).size();
    };
    EXPECT_EQ(letters(R"("seed":1)"), 20u);
    EXPECT_LT(letters(R"("repeat_penalty":1)"), 20u);
    EXPECT_EQ(letters(R"("repeat_penalty":1,"presence_penalty":2,"frequency_penalty":2)"), 20u);
}

}  // namespace
}  // namespace conclave::engine::testing
