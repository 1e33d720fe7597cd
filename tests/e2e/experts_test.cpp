// Which experts a caller's requests met, through the real engine, its starter model and its socket.
#include <chrono>
#include <gtest/gtest.h>
#include <numeric>

#include "engine/protocol/json.h"
#include "tests/e2e/starter_engine.h"
#include "tests/engine/server/raw_client.h"

namespace conclave::tests {
namespace {

using namespace conclave::engine;
using protocol::Json;

class ExpertsOverTheSocket : public StarterEngine {
  protected:
    static Json chat(const std::string& question, const std::string& fields) {
        const client::Response response = send(
            "POST", "/v1/chat/completions",
            R"({"model":"starter","temperature":0,"max_tokens":30,"messages":[{"role":"user","content":")" +
                question + "\"}]," + fields + "}");
        EXPECT_EQ(response.status, 200) << response.body;
        return *protocol::parseJson(response.body);
    }
    static Json experts(const std::string& query) {
        const client::Response response = send("GET", "/conclave/v1/experts?model=starter&" + query);
        EXPECT_EQ(response.status, 200) << response.body;
        return *protocol::parseJson(response.body);
    }
    /// Tokens that were computed for an answer: all but those that were cached and the last.
    static uint64_t computed(const Json& answer) {
        const Json& usage = answer["usage"];
        return usage["total_tokens"].get<uint64_t>() -
               usage["prompt_tokens_details"]["cached_tokens"].get<uint64_t>() - 1;
    }
};

TEST_F(ExpertsOverTheSocket, EveryComputedTokenIsThere) {
    const Json answer = chat("Where is my parcel?", R"("conversation":"post")");
    const Json snapshot = experts("conversation=post");
    EXPECT_EQ(snapshot["window"]["tokens"], computed(answer)) << answer.dump();
    const uint64_t picks = computed(answer) * snapshot["chosen"].get<uint64_t>();
    ASSERT_FALSE(snapshot["layers"].empty());
    for (const Json& layer : snapshot["layers"]) {
        const std::vector<uint64_t> counts = layer["counts"];
        EXPECT_EQ(counts.size(), snapshot["experts"].get<size_t>());
        EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), uint64_t{0}), picks);
        EXPECT_GE(layer["max_vio"], layer["floor"]["max_vio"].get<double>() * 0.5);
    }
}

TEST_F(ExpertsOverTheSocket, AdaptersAndConversationsAreApart) {
    const Json plain = chat("Write a note to Ann.", R"("conversation":"note")");
    const Json legal = chat("Write a contract.", R"("conversation":"law","lora":[{"name":"legal"}])");
    EXPECT_EQ(experts("conversation=note")["window"]["tokens"], computed(plain));
    EXPECT_EQ(experts("adapter=legal")["window"]["tokens"], computed(legal));
    EXPECT_EQ(experts("adapter=legal&conversation=note")["window"]["tokens"], 0);
    EXPECT_EQ(experts("adapter=&conversation=note")["window"]["tokens"], computed(plain));
}

TEST_F(ExpertsOverTheSocket, AStreamFollowsAnAnswer) {
    engine::testing::RawClient client(process_->socket());
    client.get("/conclave/v1/experts?model=starter&stream=true&every=0.1&conversation=live");
    client.until(R"("tokens":0)");
    const Json answer = chat("Is there a message for me?", R"("conversation":"live")");
    const std::string seen = client.until("\"tokens\":" + std::to_string(computed(answer)) + ",");
    EXPECT_NE(seen.find("event: experts"), std::string::npos);
}

TEST_F(ExpertsOverTheSocket, TheClientSeesThemOnceAndAgainAndAgain) {
    const Json answer = chat("Who lost a key?", R"("conversation":"client")");
    protocol::ExpertsQuery query;
    query.conversation = "client";
    query.everySeconds = 0.1;
    const auto once = engine().experts(query);
    ASSERT_TRUE(once.ok()) << base::render(once.error());
    EXPECT_EQ(once->model, "starter");
    EXPECT_EQ(once->tokens, computed(answer));
    int seen = 0;
    const auto watched = engine().watchExperts(query, [&](const protocol::ExpertsSnapshot& snapshot) {
        EXPECT_EQ(snapshot.tokens, once->tokens);
        return ++seen < 3;
    });
    EXPECT_TRUE(watched.ok());
    EXPECT_EQ(seen, 3);
}

TEST_F(ExpertsOverTheSocket, CountingIsAHundredthOfAStepAtMost) {
    for (int i = 0; i < 4; ++i)
        chat("Tell me about the weather, number " + std::to_string(i), R"("ignore_eos":true)");
    const std::string metrics = send("GET", "/metrics").body;
    const auto value = [&](const std::string& name) {
        const size_t at = metrics.find("\n" + name + " ");
        EXPECT_NE(at, std::string::npos) << name;
        return std::stod(metrics.substr(at + name.size() + 2));
    };
    const double counting = value("conclave_expert_counting_seconds_total"),
                 steps = value("conclave_step_seconds_sum");
    EXPECT_GT(counting, 0);
    EXPECT_LT(counting, 0.01 * steps);
    RecordProperty("counting_share", std::to_string(counting / steps));
    std::printf("counting is %.4f %% of the time of steps\n", 100 * counting / steps);
    EXPECT_NE(metrics.find("conclave_expert_max_vio{model=\"starter\",layer=\""), std::string::npos);
}

}  // namespace
}  // namespace conclave::tests
