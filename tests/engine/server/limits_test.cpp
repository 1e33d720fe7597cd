// What one client may use up, and that the others do not notice.
#include "tests/engine/server/server_fixture.h"

namespace conclave::engine::testing {
namespace {

using std::chrono::milliseconds;

TEST_F(ServerTest, JsonThatIsNestedTooDeeplyOrTooLarge) {
    startWithModel();
    const auto refusedWith = [this](const std::string& body) {
        const client::Response response = post("/v1/chat/completions", body);
        EXPECT_EQ(response.status, 400) << response.body.substr(0, 200);
        return json(response.body)["error"]["message"].get<std::string>();
    };
    EXPECT_NE(refusedWith(R"({"messages":)" + std::string(100'000, '[')).find("64"), std::string::npos);
    std::string wide = R"({"messages":[1)";
    for (int i = 0; i < 1'100'000; ++i)
        wide += ",1";
    EXPECT_NE(refusedWith(wide + "]}").find("1000000"), std::string::npos);
    EXPECT_EQ(post("/v1/chat/completions", chatBody("[a*1]")).status, 200);
}

TEST_F(ServerTest, APromptBeyondTheContextNamesBothNumbers) {
    startWithModel(withContext(100));
    const client::Response response =
        post("/v1/completions", R"({"prompt":")" + std::string(250, 'x') + R"(","add_special":false})");
    EXPECT_EQ(response.status, 400);
    EXPECT_EQ(codeOf(response), "context_exceeded");
    const std::string message = json(response.body)["error"]["message"].get<std::string>();
    EXPECT_NE(message.find("250"), std::string::npos) << message;
    EXPECT_NE(message.find("100"), std::string::npos) << message;
}

TEST_F(ServerTest, ThePriorityOfARequest) {
    startWithModel(slow());
    for (const std::string priority : {"interactive", "chat", "background"}) {
        RawClient client(socket_);
        client.post("/v1/completions", R"({"prompt":"[a]","stream":true,"priority":")" + priority + "\"}");
        ASSERT_TRUE(soon([this] { return !idle(); }));
        EXPECT_EQ(engine().sequences()->front().priority, priority);
        client.close();
        ASSERT_TRUE(soon([this] { return idle(); }));
    }
    for (const char* bad : {"\"now\"", "\"\"", "1", "\"Chat\""}) {
        const auto response =
            post("/v1/completions", std::string(R"({"prompt":"[a*1]","priority":)") + bad + "}");
        EXPECT_EQ(response.status, 400) << bad;
    }
}

/// Clients that send a byte now and then, and others that hold their connection: everyone else is served.
TEST_F(ServerTest, SlowClientsDoNotSlowTheOthers) {
    options_.facts.limits.header = milliseconds(600);
    startWithModel();
    std::vector<std::unique_ptr<RawClient>> slow;
    for (int i = 0; i < 100; ++i) {
        slow.push_back(std::make_unique<RawClient>(socket_));
        slow.back()->send("GET /hea");
    }
    for (int i = 0; i < 20; ++i) {
        EXPECT_EQ(post("/v1/chat/completions", chatBody("[a*2]")).status, 200);
        slow[static_cast<size_t>(i)]->send("l");
    }
    EXPECT_TRUE(soon([this] { return server_->connections() == 0; }, milliseconds(10'000)))
        << "each was told that its time is over";
}

TEST_F(ServerTest, EightSlowReadersAreCutAndTheOthersGetEveryWord) {
    options_.facts.limits.queuedBytes = 32 * 1024;
    startWithModel(withContext(3072));
    std::vector<std::unique_ptr<RawClient>> lazy, good;
    for (int i = 0; i < 8; ++i) {
        lazy.push_back(std::make_unique<RawClient>(socket_));
        lazy.back()->post("/v1/chat/completions", chatBody("[lazy]", R"("stream":true)"));
    }
    for (int i = 0; i < 3; ++i) {
        good.push_back(std::make_unique<RawClient>(socket_));
        good.back()->post("/v1/chat/completions", chatBody("[good*40]", R"("max_tokens":400)"));
    }
    for (const auto& client : good) {
        const auto response = client->response();
        ASSERT_TRUE(response.has_value());
        EXPECT_NE(response->body.find(markerText("good", 40)), std::string::npos);
    }
    EXPECT_TRUE(soon([this] { return idle(); }, milliseconds(30'000)));
    const std::string metrics = engine().request("GET", "/metrics")->body;
    EXPECT_NE(metrics.find("conclave_http_readers_cut_total 8\n"), std::string::npos);
}

/// The scheduler lets go of their answers after the server has said its last word.
TEST_F(ServerTest, TheServerOutlivesTheAnswersOfRunningSequences) {
    for (int round = 0; round < 5; ++round) {
        options_.facts.socketPath = socket_ = folder_ + "/" + std::to_string(round) + ".sock";
        startWithModel(slow());
        std::vector<std::unique_ptr<RawClient>> clients;
        for (int i = 0; i < 16; ++i) {
            clients.push_back(std::make_unique<RawClient>(socket_));
            clients.back()->post("/v1/chat/completions", chatBody("[a]", R"("stream":true)"));
        }
        EXPECT_TRUE(soon([this] { return scheduler_->sequences(base::OwnerId{::getuid()}).size() == 16; }));
        server_.reset();
        scheduler_.reset();
    }
}

}  // namespace
}  // namespace conclave::engine::testing
