// Steered routers through the real engine and its socket.
#include <algorithm>
#include <gtest/gtest.h>
#include <thread>

#include "engine/protocol/json.h"
#include "tests/e2e/starter_engine.h"

namespace conclave::tests {
namespace {

using namespace conclave::engine;
using protocol::Json;

const std::string kModels = std::string(CONCLAVE_SOURCE_DIR) + "/tests/fixtures/models/";

class RoutersOverTheSocket : public StarterEngine {
  protected:
    static Json complete(const std::string& fields, int status = 200) {
        std::string prompt;
        for (int i = 0; i < 120; ++i)
            prompt += "parcel ";
        const client::Response response =
            send("POST", "/v1/completions",
                 R"({"prompt":")" + prompt + R"(","temperature":0,"max_tokens":12,"ignore_eos":true)" +
                     (fields.empty() ? "" : ",") + fields + "}");
        EXPECT_EQ(response.status, status) << response.body;
        return *protocol::parseJson(response.body);
    }
    static std::string text(const Json& answer) { return answer["choices"][0]["text"]; }
    static int cached(const Json& answer) {
        return answer["usage"]["prompt_tokens_details"]["cached_tokens"];
    }
    static std::string message(const Json& answer) { return answer["error"]["message"]; }
};

TEST_F(RoutersOverTheSocket, EachWayOfRoutingHasAnswersAndPagesOfItsOwn) {
    const std::string fields[] = {
        R"("model":"starter")", R"("model":"starter","router":{"active":1})",
        R"("model":"starter","router":{"temperature":0.5})", R"("model":"starter","router":{"floor":0.9})",
        R"("model":"starter","router":{"bias":[{"layer":3,"expert":17,"value":9},{"expert":5,"forbid":true}]})"};
    std::vector<std::string> first;
    for (const std::string& field : fields) {
        const Json answer = complete(field);
        EXPECT_EQ(cached(answer), 0) << field;
        first.push_back(text(answer));
    }
    for (size_t i = 0; i < std::size(fields); ++i) {
        const Json answer = complete(fields[i]);
        EXPECT_GE(cached(answer), 64) << fields[i];
        EXPECT_EQ(text(answer), first[i]);
    }
    EXPECT_NE(first[1], first[0]);
    const Json same = complete(R"("model":"starter","router":{"active":2,"bias":[{"expert":3,"value":0}]})");
    EXPECT_GE(cached(same), 64) << "as trained, said aloud";
    EXPECT_EQ(text(same), first[0]);
    const Json other = complete(
        R"("model":"starter","router":{"bias":[{"expert":5,"forbid":true},{"expert":17,"layer":3,"value":9.0}]})");
    EXPECT_GE(cached(other), 64) << "the same in another order";
}

TEST_F(RoutersOverTheSocket, ManyStreamsKeepTheirOwn) {
    const std::vector<std::string> kinds = {R"("model":"starter")",
                                            R"("model":"starter","router":{"active":1})",
                                            R"("model":"starter","router":{"active":6})",
                                            R"("model":"starter","router":{"active":5,"floor":0.4})"};
    std::vector<std::string> want;
    for (const std::string& kind : kinds)
        want.push_back(text(complete(kind)));
    std::vector<std::thread> streams;
    std::array<int, 8> wrong{};
    for (size_t i = 0; i < wrong.size(); ++i)
        streams.emplace_back([&, i] {
            for (size_t turn = 0; turn < 3; ++turn) {
                const size_t kind = (i + turn * 3) % kinds.size();
                wrong[i] += text(complete(kinds[kind])) != want[kind];
            }
        });
    for (std::thread& stream : streams)
        stream.join();
    EXPECT_EQ(std::ranges::count(wrong, 0), 8);
}

TEST_F(RoutersOverTheSocket, AModelHasADefaultThatARequestReplacesWhole) {
    const std::string trained = text(complete(R"("model":"starter","router":{})"));
    const std::string one = text(complete(R"("model":"starter","router":{"active":1})"));
    const client::Response set =
        send("POST", "/conclave/v1/models", R"({"name":"starter","router":{"active":1}})");
    EXPECT_NE(set.body.find("event: ready"), std::string::npos) << set.body;
    EXPECT_EQ(text(complete(R"("model":"starter")")), one);
    EXPECT_EQ(text(complete(R"("model":"starter","router":{})")), trained);
    const auto shown = engine().info();
    ASSERT_TRUE(shown.ok() && shown->models.at(0).router.has_value());
    EXPECT_EQ(shown->models[0].router->active, 1u);
    EXPECT_NE(send("POST", "/conclave/v1/models", R"({"name":"starter"})").body.find("event: ready"),
              std::string::npos);
    EXPECT_EQ(text(complete(R"("model":"starter")")), one) << "loading again without a word leaves it";
    EXPECT_EQ(send("POST", "/conclave/v1/models", R"({"name":"starter","router":{"active":65}})").status,
              400);
    EXPECT_NE(send("POST", "/conclave/v1/models", R"({"name":"starter","router":{}})").body.find("ready"),
              std::string::npos);
    EXPECT_EQ(text(complete(R"("model":"starter")")), trained);
    EXPECT_FALSE(engine().info()->models.at(0).router.has_value());
}

TEST_F(RoutersOverTheSocket, MistakesAreOneSentence) {
    const auto refused = [](const std::string& router) {
        return message(complete(R"("model":"starter","router":)" + router, 400));
    };
    EXPECT_EQ(refused(R"({"active":65})"), "router.active: 65 is out of range; it must be from 1 to the 64 "
                                           "experts that a token of starter can reach");
    EXPECT_EQ(
        refused(R"({"bias":[{"layer":0,"expert":1,"value":1}]})"),
        "router.bias.layer: 0 is out of range; it must be a layer of starter that has experts, which lie "
        "in layers 1 to 5");
    EXPECT_NE(refused(R"({"heat":1})").find("router.heat: is not known here"), std::string::npos);
    EXPECT_NE(refused(R"({"temperature":0})").find("router.temperature: 0"), std::string::npos);
    std::string all;
    for (int e = 0; e < 63; ++e)
        all += std::string(e == 0 ? "" : ",") + R"({"forbid":true,"expert":)" + std::to_string(e) + "}";
    EXPECT_EQ(
        refused(R"({"bias":[)" + all + "]}"),
        "router.bias: leaves 1 to choose from in layer 1, where 2 experts work on a token; forbid fewer");
    const client::Response dense =
        send("POST", "/conclave/v1/models", R"({"path":")" + kModels + R"(llama-tiny"})");
    EXPECT_NE(dense.body.find("event: ready"), std::string::npos) << dense.body;
    EXPECT_EQ(message(complete(R"("model":"llama-tiny","router":{"active":1})", 400)),
              "router: llama-tiny is a dense model and has no experts to steer");
    EXPECT_EQ(send("DELETE", "/conclave/v1/models/llama-tiny").status, 200);
}

TEST(CappedEngine, SaysSoAndUsesNoPageAgain) {
    ConclavedProcess process(
        {"--model", std::string(CONCLAVE_SOURCE_DIR) + "/resources/models/starter", "--expert-cap", "1.25"});
    ASSERT_TRUE(process.ready()) << process.error();
    EXPECT_NE(process.error().find("expert-cap 1.25: answers depend on what else is answered"),
              std::string::npos)
        << process.error();
    const client::Engine engine(process.socket());
    const auto ask = [&] {
        const auto response =
            engine.request("POST", "/v1/completions",
                           R"({"model":"starter","max_tokens":8,"prompt":")" + std::string(900, 'a') + "\"}");
        EXPECT_TRUE(response.ok() && response->status == 200);
        return *protocol::parseJson(response->body);
    };
    ask();
    const Json again = ask();
    EXPECT_EQ(again["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
    EXPECT_TRUE(again["system_fingerprint"].get<std::string>().ends_with("/cap1.25"));
}

TEST(CappedEngine, RefusesACapBelowTheMean) {
    ConclavedProcess process({"--expert-cap", "0.9"});
    EXPECT_FALSE(process.ready());
    EXPECT_EQ(process.wait(), 2);
    EXPECT_NE(process.error().find("--expert-cap: \"0.9\" is out of range"), std::string::npos)
        << process.error();
}

}  // namespace
}  // namespace conclave::tests
