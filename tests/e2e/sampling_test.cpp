// What requests may wish of sampling, through the real engine and its socket.
#include <cmath>
#include <gtest/gtest.h>

#include "engine/protocol/json.h"
#include "tests/e2e/starter_engine.h"

namespace conclave::tests {
namespace {

using namespace conclave::engine;
using protocol::Json;

class SamplingOverTheSocket : public StarterEngine {
  protected:
    static std::string post(const std::string& path, const std::string& body) {
        const client::Response response = send("POST", path, body);
        EXPECT_EQ(response.status, 200) << response.body;
        return response.body;
    }
    static Json chat(const std::string& fields) {
        return *protocol::parseJson(
            post("/v1/chat/completions",
                 R"({"messages":[{"role":"user","content":"What can you do?"}],)" + fields + "}"));
    }
    static Json complete(const std::string& fields) {
        return *protocol::parseJson(
            post("/v1/completions", R"({"prompt":"The parcel is","temperature":0,)" + fields + "}"));
    }
};

TEST_F(SamplingOverTheSocket, ThreeChoicesAreReproducible) {
    const std::string fields = R"("n":3,"seed":11,"temperature":1.5,"max_tokens":16)";
    const Json first = chat(fields);
    ASSERT_EQ(first["choices"].size(), 3u);
    EXPECT_EQ(chat(fields)["choices"], first["choices"]);
    EXPECT_EQ(chat(R"("seed":11,"temperature":1.5,"max_tokens":16)")["choices"][0], first["choices"][0]);
    EXPECT_NE(first["choices"][0]["message"], first["choices"][1]["message"]);
    EXPECT_NE(chat(R"("n":3,"seed":12,"temperature":1.5,"max_tokens":16)")["choices"], first["choices"]);
}

TEST_F(SamplingOverTheSocket, LogprobsAreProbabilities) {
    const Json plain = chat(R"("logprobs":true,"top_logprobs":20,"temperature":0,"max_tokens":12)");
    const Json& content = plain["choices"][0]["logprobs"]["content"];
    ASSERT_EQ(content.size(), 12u);
    for (const Json& entry : content) {
        double sum = 0, before = 0;
        ASSERT_EQ(entry["top_logprobs"].size(), 20u);
        for (const Json& top : entry["top_logprobs"]) {
            EXPECT_LE(top["logprob"].get<double>(), before);
            before = top["logprob"];
            sum += std::exp(before);
        }
        EXPECT_LE(sum, 1 + 1e-9);
        EXPECT_EQ(entry["logprob"], entry["top_logprobs"][0]["logprob"]) << "greedy takes the likeliest";
    }
    // They do not change with what is done to the distribution afterwards.
    const Json hot = chat(
        R"("logprobs":true,"top_logprobs":20,"temperature":3,"top_k":1,"presence_penalty":1e-9,"max_tokens":12)");
    EXPECT_EQ(hot["choices"][0]["logprobs"], plain["choices"][0]["logprobs"]);
}

TEST_F(SamplingOverTheSocket, ABiasOfAHundredForcesAToken) {
    const auto ids = engine().tokenize({.model = {}, .content = " parcel"});
    ASSERT_TRUE(ids.ok() && !ids->empty());
    const std::string id = std::to_string(base::toInt(ids->front()));
    const Json forced = complete(R"("logprobs":0,"max_tokens":5,"logit_bias":{")" + id + R"(":100})");
    const Json& tokens = forced["choices"][0]["logprobs"]["tokens"];
    ASSERT_EQ(tokens.size(), 5u);
    for (const Json& token : tokens)
        EXPECT_EQ(token, tokens[0]);
    EXPECT_EQ(tokens[0].get<std::string>(), *engine().detokenize({.model = {}, .tokens = {ids->front()}}));
}

TEST_F(SamplingOverTheSocket, LeastTokensAndIgnoredEnds) {
    const Json plain = chat(R"("temperature":0,"max_tokens":400)");
    ASSERT_EQ(plain["choices"][0]["finish_reason"], "stop");
    const int usual = plain["usage"]["completion_tokens"];
    const std::string more = std::to_string(usual + 10);
    EXPECT_GE(chat(R"("temperature":0,"max_tokens":400,"min_tokens":)" + more)["usage"]["completion_tokens"],
              usual + 10);
    const Json ignored = chat(R"("temperature":0,"ignore_eos":true,"max_tokens":)" + more);
    EXPECT_EQ(ignored["usage"]["completion_tokens"], usual + 10);
    EXPECT_EQ(ignored["choices"][0]["finish_reason"], "length");
}

TEST_F(SamplingOverTheSocket, StopStringsAndLogprobs) {
    const Json plain = complete(R"("max_tokens":24)");
    const std::string text = plain["choices"][0]["text"];
    ASSERT_GT(text.size(), 12u);
    const std::string stop = text.substr(8, 3);
    const size_t at = text.find(stop);
    const Json body = {
        {"prompt", "The parcel is"}, {"temperature", 0}, {"max_tokens", 24}, {"logprobs", 1}, {"stop", stop}};
    const Json stopped = *protocol::parseJson(post("/v1/completions", body.dump()));
    const Json& choice = stopped["choices"][0];
    EXPECT_EQ(choice["text"], text.substr(0, at));
    EXPECT_EQ(choice["finish_reason"], "stop");
    EXPECT_EQ(choice["logprobs"]["tokens"].size(), stopped["usage"]["completion_tokens"])
        << "nothing is lost";
    std::string joined;
    for (const Json& token : choice["logprobs"]["tokens"])
        joined += token.get<std::string>();
    EXPECT_TRUE(joined.starts_with(text.substr(0, at + stop.size()))) << joined;
}

}  // namespace
}  // namespace conclave::tests
