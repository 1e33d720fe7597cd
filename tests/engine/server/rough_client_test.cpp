// Clients that vanish, do not read, send nonsense or nothing at all; several owners; the end.
#include "tests/engine/server/server_fixture.h"

namespace conclave::engine::testing {
namespace {

using std::chrono::milliseconds;

// A token of the marker model is one byte, and an event of its own.
constexpr std::string_view kFirstMark = R"("content":"0")", kSecondMark = R"("content":"1")";

TEST_F(ServerTest, AClientThatVanishesInMidStreamFreesItsSequence) {
    startWithModel(slow());
    RawClient client(socket_);
    client.post("/v1/chat/completions", chatBody("[a]", R"("stream":true)"));
    EXPECT_NE(client.until(kSecondMark).find(kSecondMark), std::string::npos);
    EXPECT_FALSE(idle());
    client.close();
    EXPECT_TRUE(soon([this] { return idle(); }, milliseconds(1000)));
    EXPECT_TRUE(soon([this] { return server_->connections() == 0; }));
}

TEST_F(ServerTest, AClientThatVanishesBeforeAWholeAnswerFreesItToo) {
    startWithModel(slow());
    RawClient client(socket_);
    client.post("/v1/chat/completions", chatBody("[a]"));
    ASSERT_TRUE(soon([this] { return !idle(); }));
    client.close();
    EXPECT_TRUE(soon([this] { return idle(); }, milliseconds(1000)));
}

TEST_F(ServerTest, VanishingWithARequestSentAheadIsNoticedToo) {
    startWithModel(slow());
    RawClient client(socket_);
    client.post("/v1/chat/completions", chatBody("[a]", R"("stream":true)"));
    client.get("/health");
    client.until(kSecondMark);
    client.close();
    EXPECT_TRUE(soon([this] { return idle(); }, milliseconds(1000)));
}

TEST_F(ServerTest, AClientThatOnlyFinishedSendingGetsItsAnswer) {
    startWithModel();
    RawClient client(socket_);
    client.post("/v1/chat/completions", chatBody("[a*3]"), "Connection: close\r\n");
    client.finishSending();
    const auto response = client.response();
    ASSERT_TRUE(response.has_value());
    EXPECT_NE(response->body.find(markerText("a", 3)), std::string::npos);
}

TEST_F(ServerTest, AHundredClientsThatVanishLeaveNothingBehind) {
    startWithModel();
    for (int i = 0; i < 100; ++i) {
        RawClient client(socket_);
        ASSERT_TRUE(client.connected());
        if (i % 4 == 1) client.send("POST /v1/chat/comp");
        if (i % 4 >= 2)
            client.post("/v1/chat/completions", chatBody("[a]", i % 4 == 2 ? R"("stream":true)" : ""));
        if (i % 8 == 6) client.until(kFirstMark);
    }
    EXPECT_TRUE(soon([this] { return idle() && server_->connections() == 0; }));
    EXPECT_EQ(post("/v1/chat/completions", chatBody("[a*1]")).status, 200);
}

TEST_F(ServerTest, ASlowReaderIsCutOffAlone) {
    options_.facts.limits.queuedBytes = 64 * 1024;
    startWithModel(withContext(16384));
    RawClient lazy(socket_), good(socket_);
    lazy.post("/v1/chat/completions", chatBody("[slow]", R"("stream":true)"));
    // Less than a queue holds: its reader may lose the processor for a while.
    good.post("/v1/chat/completions", chatBody("[good*25]", R"("stream":true)"));
    const std::string heard = good.until("[DONE]");
    EXPECT_NE(heard.find("[DONE]"), std::string::npos);
    EXPECT_LT(heard.size(), options_.facts.limits.queuedBytes);
    // The slow one's queue fills: its sequence is gone long before its context is full, and so is its
    // connection.
    EXPECT_TRUE(soon([this] { return idle(); }, milliseconds(20'000)));
    const std::string read = lazy.rest();
    EXPECT_EQ(read.find("[DONE]"), std::string::npos);
    EXPECT_EQ(read.find("\"length\""), std::string::npos);
}

TEST_F(ServerTest, OwnersSeeTheirOwnAndMayNotStopTheEngine) {
    std::atomic<uint32_t> next{::getuid()};
    options_.peerOwner = [&next](int) { return base::Result<base::OwnerId>(base::OwnerId{next.load()}); };
    startWithModel(slow());
    RawClient mine(socket_);
    mine.post("/v1/chat/completions", chatBody("[a]", R"("stream":true)"));
    mine.until(kFirstMark);
    EXPECT_EQ(engine().sequences()->size(), 1u);
    EXPECT_EQ(engine().sequences()->front().model, "marker");
    next = 4242;
    EXPECT_EQ(engine().sequences()->size(), 0u);
    for (const auto& [method, path] : {std::pair("POST", "/conclave/v1/models"),
                                       {"DELETE", "/conclave/v1/models/marker"},
                                       {"POST", "/conclave/v1/shutdown"}}) {
        const auto response = *engine().request(method, path, R"({"path":"/x"})");
        EXPECT_EQ(response.status, 403) << path;
        EXPECT_EQ(codeOf(response), "not_allowed") << path;
    }
    EXPECT_EQ(post("/v1/chat/completions", chatBody("[b*1]")).status, 200);
}

struct Malformed {
    std::string bytes;
    int status;
};

TEST_F(ServerTest, MalformedRequestsGetAStatusAndTheEnd) {
    startWithModel();
    const Malformed rows[] = {
        {"nonsense\r\n\r\n", 400},
        {"GET\r\n\r\n", 400},
        {"GET / HTTP/9.9\r\n\r\n", 400},
        {"GET /health HTTP/1.1\r\nno colon here\r\n\r\n", 400},
        {"GET /health HTTP/1.1\r\nX: a\x01"
         "b\r\n\r\n",
         400},
        {"GET /hea lth HTTP/1.1\r\n\r\n", 400},
        {std::string("\0\0\0\0\r\n\r\n", 8), 400},
        {"\x16\x03\x01\x02\x01\x01\x01\xfc\x03\x03 hello TLS\r\n\r\n", 400},
        {"POST /tokenize HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400},
        {"POST /tokenize HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400},
        {"POST /tokenize HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nab", 400},
        {"POST /tokenize HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nab", 400},
        {"POST /tokenize HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
        {"POST /tokenize HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", 413},
        {"POST /tokenize HTTP/1.1\r\nContent-Length: 5\r\nExpect: tea\r\n\r\n", 417},
        {"GET /health HTTP/1.1\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n", 431},
        {"GET /" + std::string(20'000, 'x') + " HTTP/1.1\r\n\r\n", 431},
    };
    for (const Malformed& row : rows) {
        RawClient client(socket_);
        client.send(row.bytes);
        const auto response = client.response();
        ASSERT_TRUE(response.has_value()) << row.bytes.substr(0, 60);
        EXPECT_EQ(response->status, row.status) << row.bytes.substr(0, 60) << response->body;
        EXPECT_TRUE(json(response->body).contains("error")) << response->body;
        EXPECT_TRUE(client.closedWithin(milliseconds(2000))) << row.bytes.substr(0, 60);
    }
    EXPECT_EQ(call("GET", "/health").status, 200);
}

TEST_F(ServerTest, ABodyThatGrowsTooLargeInChunks) {
    options_.facts.limits.bodyBytes = 1 << 20;
    startWithModel();
    RawClient client(socket_);
    client.send(
        "POST /tokenize HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
    const std::string chunk = "10000\r\n" + std::string(0x10000, 'x') + "\r\n";
    for (int i = 0; i < 64 && client.send(chunk); ++i) {
    }
    const auto response = client.response();
    ASSERT_TRUE(response.has_value());
    EXPECT_EQ(response->status, 413);
}

TEST_F(ServerTest, SlowHeadsBodiesAndIdlers) {
    options_.facts.limits.header = milliseconds(150);
    options_.facts.limits.body = milliseconds(150);
    options_.facts.limits.idle = milliseconds(300);
    startWithModel();
    RawClient head(socket_), body(socket_), idler(socket_), dripping(socket_);
    head.send("GET /health HT");
    body.send("POST /tokenize HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{");
    for (const char c : std::string("GET /health HTTP/1.1\r\nX: aaaaaaaaaaaaaaaaaaaaaaaa")) {
        if (!dripping.send(std::string(1, c))) break;
        std::this_thread::sleep_for(milliseconds(10));
    }
    for (RawClient* client : {&head, &body, &dripping}) {
        const auto response = client->response();
        ASSERT_TRUE(response.has_value());
        EXPECT_EQ(response->status, 408);
    }
    EXPECT_TRUE(idler.closedWithin(milliseconds(3000)));
    EXPECT_TRUE(soon([this] { return server_->connections() == 0; }));
}

TEST_F(ServerTest, OneConnectionForManyRequests) {
    startWithModel();
    RawClient client(socket_);
    for (int i = 0; i < 3; ++i) {
        client.post("/v1/chat/completions", chatBody("[a*2]", i == 1 ? R"("stream":true)" : ""));
        const auto response = client.response();
        ASSERT_TRUE(response.has_value()) << i;
        EXPECT_EQ(response->status, 200);
        EXPECT_NE(response->body.find(i == 1 ? "[DONE]" : markerText("a", 2)), std::string::npos);
    }
    client.send("GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(client.response()->headers.at("connection"), "close");
    EXPECT_TRUE(client.closedWithin(milliseconds(2000)));
}

TEST_F(ServerTest, RequestsSentAheadAreAnsweredInOrder) {
    startWithModel();
    RawClient client(socket_);
    std::string all;
    for (int i = 0; i < 20; ++i) {
        const std::string body = R"({"content":")" + std::string(static_cast<size_t>(i + 1), 'a') + "\"}";
        all += "POST /tokenize HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: " +
               std::to_string(body.size()) + "\r\n\r\n" + body;
    }
    client.send(all);
    for (size_t i = 0; i < 20; ++i) {
        const auto response = client.response();
        ASSERT_TRUE(response.has_value());
        EXPECT_EQ(json(response->body)["tokens"].size(), i + 1);
    }
}

TEST_F(ServerTest, OldAndUnusualFormsOfHttp) {
    startWithModel();
    RawClient old(socket_);
    old.send("GET /health HTTP/1.0\r\n\r\n");
    EXPECT_NE(old.rest().find(R"({"status":"ok"})"), std::string::npos);
    RawClient oldStream(socket_);
    const std::string body = chatBody("[a*2]", R"("stream":true)");
    oldStream.send(
        "POST /v1/chat/completions HTTP/1.0\r\nConnection: keep-alive\r\nContent-Type: application/json; "
        "charset=utf-8\r\nContent-Length: " +
        std::to_string(body.size()) + "\r\n\r\n" + body);
    const std::string stream = oldStream.rest();
    EXPECT_TRUE(stream.ends_with("data: [DONE]\n\n")) << stream;
    EXPECT_EQ(stream.find("chunked"), std::string::npos);
    RawClient head(socket_);
    head.send("HEAD /health HTTP/1.1\r\n\r\nGET /health?x=1 HTTP/1.1\r\n\r\n"
              "GET http://localhost/health HTTP/1.1\r\n\r\n");
    EXPECT_EQ(head.response(true)->headers.at("content-length"), "15");
    EXPECT_EQ(head.response()->body, R"({"status":"ok"})");
    EXPECT_EQ(head.response()->body, R"({"status":"ok"})");
    RawClient expecting(socket_);
    const std::string content = R"({"content":"a"})";
    expecting.send("POST /tokenize HTTP/1.1\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
                   "Content-Length: " +
                   std::to_string(content.size()) + "\r\n\r\n");
    EXPECT_NE(expecting.until("100 Continue\r\n\r\n").find("HTTP/1.1 100"), std::string::npos);
    expecting.send(content);
    EXPECT_EQ(expecting.response()->body, R"({"tokens":[97]})");
}

TEST_F(ServerTest, TooManyConnections) {
    options_.facts.limits.connections = 4;
    startWithModel();
    std::vector<std::unique_ptr<RawClient>> clients;
    for (int i = 0; i < 4; ++i)
        clients.push_back(std::make_unique<RawClient>(socket_));
    ASSERT_TRUE(soon([this] { return server_->connections() == 4; }));
    RawClient oneMore(socket_);
    const auto refused = oneMore.response();
    ASSERT_TRUE(refused.has_value());
    EXPECT_EQ(refused->status, 503);
    clients.pop_back();
    EXPECT_TRUE(soon([this] { return server_->connections() == 3; }));
    EXPECT_EQ(call("GET", "/health").status, 200);
}

TEST_F(ServerTest, TheEndIsToldToThoseWhoListen) {
    startWithModel(slow());
    RawClient streaming(socket_), waiting(socket_), idler(socket_);
    streaming.post("/v1/chat/completions", chatBody("[a]", R"("stream":true)"));
    waiting.post("/v1/chat/completions", chatBody("[b]"));
    streaming.until(kFirstMark);
    ASSERT_TRUE(soon([this] { return scheduler_->sequences(base::OwnerId{::getuid()}).size() == 2; }));
    server_->stop();
    server_->wait();
    const std::string stream = streaming.rest();
    EXPECT_NE(stream.find("shutting_down"), std::string::npos) << stream;
    EXPECT_EQ(stream.find("[DONE]"), std::string::npos);
    const auto whole = waiting.response();
    ASSERT_TRUE(whole.has_value());
    EXPECT_EQ(whole->status, 503);
    EXPECT_TRUE(idler.closedWithin(milliseconds(1000)));
    EXPECT_FALSE(std::filesystem::exists(socket_));
    EXPECT_FALSE(RawClient(socket_).connected());
    EXPECT_TRUE(soon([this] { return idle(); }, milliseconds(1000)));
}

TEST_F(ServerTest, ShutdownByRequest) {
    startWithModel();
    EXPECT_TRUE(engine().stop().ok());
    server_->wait();
    EXPECT_EQ(engine().info().error().code, base::Code::EngineNotRunning);
}

TEST_F(ServerTest, TheOtherEndSeesAnEngineThatIsLost) {
    startWithModel(slow());
    protocol::ChatRequest request;
    request.messages.push_back(protocol::chatMessage("user", "[a]"));
    std::thread later;
    const client::Answer answer = engine().chat(std::move(request), [&](std::string_view) {
        if (!later.joinable()) later = std::thread([this] { server_->stop(); });
        return true;
    });
    later.join();
    ASSERT_TRUE(answer.failed.has_value());
    EXPECT_EQ(answer.failed->code, base::Code::ShuttingDown);
    EXPECT_TRUE(answer.text.starts_with("a"));
}

}  // namespace
}  // namespace conclave::engine::testing
