// GET /conclave/v1/experts over a real socket: snapshots, streams, and what /metrics makes of it.
#include <atomic>

#include "engine/model/expert_counts.h"
#include "tests/engine/server/exposition.h"
#include "tests/engine/server/server_fixture.h"

namespace conclave::engine::testing {
namespace {

using namespace std::chrono_literals;

/// A marker model whose routers are a rule: one layer, one expert a token, that of its id modulo the experts.
std::shared_ptr<const library::LoadedModel> makeRoutedModel(const std::string& name, uint32_t experts,
                                                            MarkerOptions options = {}) {
    const auto plain = makeMarkerModel(name, std::move(options));
    auto model = std::make_shared<model::Model>(*plain->model);
    model->config.experts = experts;
    model->config.chosenExperts = 1;
    model->config.moeLayer.assign(model->config.layers, 0);
    model->config.moeLayer[3] = 1;
    model->forward = [forward = plain->model->forward, experts](model::Step& step, platform::Team& team) {
        for (const model::Slice& slice : step.slices)
            if (slice.counts != nullptr)
                for (const base::TokenId token : slice.tokens)
                    ++slice.counts->layer(0)[static_cast<uint32_t>(base::toInt(token)) % experts];
        return forward(step, team);
    };
    library::LoadedModel out = *plain;
    out.model = std::move(model);
    return std::make_shared<const library::LoadedModel>(std::move(out));
}

class Experts : public ServerTest {
  protected:
    void startRouted(uint32_t experts = 4, MarkerOptions options = {}) {
        options_.peerOwner = [this](int) {
            return base::Result<base::OwnerId>(base::OwnerId{owner_.load()});
        };
        library_->publish(makeRoutedModel("routed", experts, std::move(options)));
        start();
    }
    /// Completes a prompt of these bytes; nothing is generated.
    void read(const std::string& bytes, const std::string& fields = "") const {
        EXPECT_EQ(post("/v1/completions", R"({"model":"routed","max_tokens":1,"prompt":")" + bytes + "\"" +
                                              (fields.empty() ? "" : "," + fields) + "}")
                      .status,
                  200);
    }
    protocol::Json experts(const std::string& query = "") const {
        const client::Response response = call("GET", "/conclave/v1/experts" + query);
        EXPECT_EQ(response.status, 200) << response.body;
        return json(response.body);
    }
    uint64_t tokens(const std::string& query = "") const { return experts(query)["window"]["tokens"]; }

    std::atomic<uint32_t> owner_{4242};
};

TEST_F(Experts, ASnapshotHoldsWhatTheRoutersChose) {
    startRouted();
    read("ddddaab");  // 100, 97, 98 modulo 4: 0 0 0 0 1 1 2, after <s> (256: 0)
    const protocol::Json snapshot = experts("?model=routed");
    EXPECT_EQ(snapshot["model"], "routed");
    EXPECT_EQ(snapshot["experts"], 4);
    EXPECT_EQ(snapshot["chosen"], 1);
    EXPECT_EQ(snapshot["window"]["tokens"], 8);
    EXPECT_EQ(snapshot["worst_layer"], 3);
    ASSERT_EQ(snapshot["layers"].size(), 1u);
    const protocol::Json& layer = snapshot["layers"][0];
    EXPECT_EQ(layer["layer"], 3);
    EXPECT_EQ(layer["counts"], protocol::Json({5, 2, 1, 0}));
    EXPECT_EQ(layer["shares"], protocol::Json({0.625, 0.25, 0.125, 0.0}));
    EXPECT_EQ(layer["max_vio"], 1.5);
    EXPECT_EQ(layer["dead"], 1);
    EXPECT_GT(layer["floor"]["max_vio"], 0.5);
    EXPECT_LT(layer["floor"]["max_vio"], 1.0);
}

TEST_F(Experts, ConversationsWindowsAndOwnersAreApart) {
    startRouted();
    EXPECT_EQ(tokens(), 0u);
    EXPECT_TRUE(experts()["layers"][0]["max_vio"].is_null());
    read("aaaa", R"("conversation":"letters")");
    read("bbbbbb", R"("conversation":"code")");
    EXPECT_EQ(tokens(), 12u);
    EXPECT_EQ(tokens("?conversation=letters"), 5u);
    EXPECT_EQ(tokens("?conversation=code"), 7u);
    EXPECT_EQ(tokens("?conversation=else"), 0u);
    EXPECT_EQ(tokens("?tokens=1"), 7u) << "whole records, the newest first";
    EXPECT_EQ(tokens("?tokens=8&seconds=600"), 12u);
    EXPECT_EQ(tokens("?adapter="), 12u);
    EXPECT_EQ(tokens("?adapter=legal"), 0u);
    owner_ = 4343;
    EXPECT_EQ(tokens(), 0u) << "another's traffic is not theirs to see";
    EXPECT_EQ(tokens("?conversation=letters"), 0u);
    EXPECT_EQ(call("GET", "/conclave/v1/experts?owner=4242").status, 400);
}

TEST_F(Experts, MistakesAreOneSentence) {
    library_->publish(makeMarkerModel("dense"));
    startRouted();
    const auto sentence = [&](const std::string& query) {
        const client::Response response = call("GET", "/conclave/v1/experts" + query);
        EXPECT_EQ(response.status, 400) << response.body;
        return json(response.body)["error"]["message"].get<std::string>();
    };
    EXPECT_EQ(sentence("?model=dense"), "model: dense has no experts");
    EXPECT_EQ(sentence("?model=nobody"), "model: nobody is not loaded; loaded are: dense, routed");
    EXPECT_EQ(sentence(""), "model: is missing; loaded are: dense, routed");
    EXPECT_TRUE(sentence("?tokens=-1").starts_with("tokens: -1 is out of range"));
    EXPECT_TRUE(sentence("?window=1").starts_with("window: is not known here"));
    EXPECT_TRUE(sentence("?model=%zz").starts_with("model: has a %"));
    EXPECT_EQ(call("POST", "/conclave/v1/experts").status, 405);
    RawClient head(socket_);
    head.send("HEAD /conclave/v1/experts?model=routed&stream=true HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(head.response(true)->status, 200);
    head.get("/health");
    EXPECT_EQ(head.response()->status, 200) << "a HEAD has no body, also of a stream";
}

TEST_F(Experts, AStreamTellsWhatComesUntilTheClientLeaves) {
    startRouted();
    RawClient client(socket_);
    client.get("/conclave/v1/experts?stream=true&every=0.1");
    client.until("event: experts");
    client.until(R"("tokens":0)");
    read("aaaa");
    client.until(R"("tokens":5)");
    client.until(R"("tokens":5)");
    owner_ = 4343;
    read("aaaa");  // somebody else's
    owner_ = 4242;
    EXPECT_NE(engine().request("GET", "/metrics")->body.find("conclave_http_requests 1\n"),
              std::string::npos);
    read("bb");
    EXPECT_EQ(client.until(R"("tokens":8)").find(R"("tokens":10)"), std::string::npos);
    client.close();
    EXPECT_TRUE(soon([&] {
        return engine().request("GET", "/metrics")->body.find("conclave_http_requests 0\n") !=
               std::string::npos;
    }));
}

TEST_F(Experts, AStreamEndsWithTheEngine) {
    startRouted();
    RawClient client(socket_);
    client.get("/conclave/v1/experts?stream=true&every=60");
    client.until("event: experts");
    const auto begin = std::chrono::steady_clock::now();
    server_.reset();
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s) << "it does not wait for the next snapshot";
    const std::string rest = client.rest();
    EXPECT_NE(rest.find("event: error"), std::string::npos) << rest;
    EXPECT_NE(rest.find("shutting_down"), std::string::npos) << rest;
}

TEST_F(Experts, AStreamEndsWithItsModel) {
    startRouted();
    RawClient client(socket_);
    client.get("/conclave/v1/experts?model=routed&stream=true&every=0.1");
    client.until("event: experts");
    ASSERT_TRUE(library_->unload("routed").ok());
    const std::string rest = client.until("event: error");
    EXPECT_NE(client.until("not loaded").find("model: routed is not loaded"), std::string::npos) << rest;
}

TEST_F(Experts, ASlowReaderMissesSnapshotsAndIsNotCutOff) {
    options_.facts.limits.queuedBytes = 64 * 1024;
    startRouted(4096);  // a snapshot is some 25 kB
    RawClient client(socket_);
    client.get("/conclave/v1/experts?stream=true&every=0.1");
    client.until("event: experts");
    std::this_thread::sleep_for(2500ms);  // the kernel's buffer is full after one
    read("aaaa");
    client.until(R"("tokens":5)");
    EXPECT_NE(engine().request("GET", "/metrics")->body.find("conclave_http_readers_cut_total 0\n"),
              std::string::npos);
}

TEST_F(Experts, MetricsSumAllOwnersByLayer) {
    startRouted();
    read("dddddd");  // with <s> seven times expert 0
    owner_ = 4343;
    read("d", R"("conversation":"hidden")");
    const std::string text = engine().request("GET", "/metrics")->body;
    const Exposition read = readExposition(text);
    for (const std::string& fault : read.faults)
        ADD_FAILURE() << fault;
    EXPECT_EQ(read.value("conclave_expert_window_tokens{model=\"routed\"}"), 9);
    EXPECT_EQ(read.value("conclave_expert_worst_layer{model=\"routed\"}"), 3);
    const auto ofLayer = [&](const std::string& name) {
        return read.value("conclave_expert_" + name + "{model=\"routed\",layer=\"3\"}");
    };
    EXPECT_EQ(ofLayer("top_share"), 1);
    EXPECT_EQ(ofLayer("max_vio"), 3);
    EXPECT_NEAR(ofLayer("cv"), std::sqrt(3.0), 1e-6);
    EXPECT_EQ(ofLayer("entropy"), 0);
    EXPECT_EQ(ofLayer("dead"), 3);
    EXPECT_GT(ofLayer("max_vio_floor"), 0.5);
    EXPECT_LT(ofLayer("max_vio_floor"), 1.5);
    EXPECT_GT(ofLayer("entropy_floor"), 0.5);
    EXPECT_GT(read.value("conclave_expert_counting_seconds_total"), 0);
    EXPECT_EQ(text.find("hidden"), std::string::npos);
    EXPECT_EQ(text.find("4343"), std::string::npos);
}

}  // namespace
}  // namespace conclave::engine::testing
