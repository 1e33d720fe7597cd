// GET /metrics over a real socket.
#include "tests/engine/server/exposition.h"
#include "tests/engine/server/server_fixture.h"

namespace conclave::engine::testing {
namespace {

/// Reads it and fails the test where it is not well formed.
Exposition metricsOf(const client::Engine& engine) {
    const auto response = engine.request("GET", "/metrics");
    EXPECT_TRUE(response.ok());
    EXPECT_EQ(response->status, 200);
    Exposition read = readExposition(response->body);
    for (const std::string& fault : read.faults)
        ADD_FAILURE() << fault;
    return read;
}

TEST_F(ServerTest, MetricsBeforeAnythingHappened) {
    start();
    const Exposition read = metricsOf(engine());
    EXPECT_GT(read.families.size(), 25u);
    EXPECT_EQ(read.value("conclave_steps_total"), 0);
    EXPECT_EQ(read.value("conclave_http_requests"), 0);
    EXPECT_GT(read.value("process_resident_memory_bytes"), 1e6);
    EXPECT_GE(read.value("process_open_fds"), 4);
    RawClient client(socket_);
    client.get("/metrics");
    EXPECT_EQ(client.response()->headers.at("content-type"), "text/plain; version=0.0.4; charset=utf-8");
}

TEST_F(ServerTest, MetricsCountRequestsTokensAndTimes) {
    startWithModel();
    const std::string words = std::string(200, 'w') + "[secret*3]";
    for (int i = 0; i < 2; ++i)
        EXPECT_EQ(post("/v1/chat/completions", chatBody(words)).status, 200);
    EXPECT_EQ(post("/v1/chat/completions", chatBody("[a]", R"("max_tokens":4)")).status, 200);
    EXPECT_EQ(post("/v1/chat/completions", chatBody("[a!0]")).status, 500);
    EXPECT_EQ(post("/v1/chat/completions", "{").status, 400);
    const Exposition read = metricsOf(engine());
    const auto ofModel = [&](const std::string& name, const std::string& more = "") {
        return read.value("conclave_" + name + "{model=\"marker\"" + more + "}");
    };
    EXPECT_EQ(ofModel("requests_total", ",outcome=\"stop\""), 2);
    EXPECT_EQ(ofModel("requests_total", ",outcome=\"length\""), 1);
    EXPECT_EQ(ofModel("requests_total", ",outcome=\"failed\""), 1);
    EXPECT_EQ(ofModel("cached_tokens_total"), 192);
    EXPECT_EQ(ofModel("generated_tokens_total"),
              2.0 * (static_cast<double>(markerText("secret", 3).size()) + 1) + 4);
    EXPECT_EQ(ofModel("model_context_tokens"), 4096);
    EXPECT_EQ(read.families.at("conclave_time_to_first_token_seconds")
                  .samples.at("conclave_time_to_first_token_seconds_count{model=\"marker\"}"),
              3);
    EXPECT_EQ(read.value("conclave_http_responses_total{code=\"4xx\"}"), 1);
    EXPECT_EQ(read.value("conclave_prefix_cache_hits_total"), 1);
    EXPECT_GT(read.value("conclave_kv_bytes"), 0);
    EXPECT_EQ(read.value("conclave_kv_budget_bytes"), 64.0 * (1 << 20));
    EXPECT_EQ(engine().request("GET", "/metrics")->body.find("secret"), std::string::npos);
}

TEST_F(ServerTest, MetricsEscapeTheNamesOfModels) {
    library_->publish(makeMarkerModel("a\\b\"c\nd"));
    start();
    const Exposition read = metricsOf(engine());
    EXPECT_EQ(read.value("conclave_model_context_tokens{model=\"a\\\\b\\\"c\\nd\"}"), 4096);
}

TEST_F(ServerTest, MetricsShowOthersOnlyInSums) {
    std::atomic<uint32_t> next{4242};
    options_.peerOwner = [&next](int) { return base::Result<base::OwnerId>(base::OwnerId{next.load()}); };
    startWithModel(slow());
    RawClient theirs(socket_);
    theirs.post("/v1/chat/completions", chatBody("[hidden]", R"("stream":true,"priority":"background")"));
    theirs.until(R"("content":"h")");
    next = 4343;
    const Exposition read = metricsOf(engine());
    EXPECT_EQ(read.value("conclave_sequences{priority=\"background\",state=\"running\"}"), 1);
    EXPECT_EQ(read.value("conclave_sequences{priority=\"chat\",state=\"running\"}"), 0);
    EXPECT_EQ(engine().request("GET", "/metrics")->body.find("4242"), std::string::npos);
    EXPECT_TRUE(engine().sequences()->empty());
    next = 4242;
    const auto mine = engine().sequences();
    ASSERT_EQ(mine->size(), 1u);
    EXPECT_EQ(mine->front().priority, "background");
    EXPECT_EQ(mine->front().state, "decode");
}

TEST(Exposition, TheReaderIsStrict) {
    const std::string good = "# HELP a_total A.\n# TYPE a_total counter\na_total 1\n";
    EXPECT_TRUE(readExposition(good).faults.empty());
    for (const char* bad :
         {"a_total 1\n", "# HELP a A.\n# TYPE a counter\na 1\n", "# HELP a A.\n# TYPE a gauge\na 1",
          "# HELP a A.\n# TYPE a gauge\na 1\na 2\n", "# HELP a A.\n# TYPE a gauge\na{b=\"\\t\"} 1\n",
          "# HELP a A.\n# TYPE a gauge\na{b=\"x\"y\"} 1\n", "# HELP a A.\n# TYPE a gauge\nb 1\n",
          "# HELP a A.\n# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count "
          "1\n",
          "# HELP a A.\n# TYPE a histogram\na_bucket{le=\"1\"} 1\na_sum 1\na_count 1\n", "# hello\n"})
        EXPECT_FALSE(readExposition(bad).faults.empty()) << bad;
}

}  // namespace
}  // namespace conclave::engine::testing
