// What one caller set with POST /lora-adapters is nobody else's, with the real starter model and its
// adapters.
#include <atomic>

#include "tests/engine/server/server_fixture.h"

namespace conclave::engine::testing {
namespace {

class LoraDefaults : public ServerTest {
  protected:
    static constexpr uint32_t kAnn = 4242, kBob = 4343;

    void SetUp() override {
        ServerTest::SetUp();
        options_.peerOwner = [this](int) {
            return base::Result<base::OwnerId>(base::OwnerId{owner_.load()});
        };
        const auto starter =
            library_->load(std::string(CONCLAVE_SOURCE_DIR) + "/resources/models/starter", "starter", {});
        ASSERT_TRUE(starter.ok()) << base::render(starter.error());
        start();
        plain_ = answer(R"("lora":[])");
        legal_ = answer(R"("lora":[{"name":"legal"}])");
        ASSERT_NE(plain_, legal_);
    }
    std::string answer(const std::string& fields = "") const {
        const client::Response response = post(
            "/v1/chat/completions", chatBody("How do I return a parcel?",
                                             R"("temperature":0)" + (fields.empty() ? "" : "," + fields)));
        EXPECT_EQ(response.status, 200) << response.body;
        return json(response.body)["choices"][0]["message"]["content"];
    }
    double scale() const { return json(call("GET", "/lora-adapters").body)[0]["scale"]; }

    std::atomic<uint32_t> owner_{kAnn};
    std::string plain_, legal_;
};

TEST_F(LoraDefaults, AreTheCallersAlone) {
    EXPECT_EQ(post("/lora-adapters", R"([{"name":"legal","scale":1}])").status, 200);
    EXPECT_EQ(answer(), legal_);
    EXPECT_EQ(scale(), 1);
    owner_ = kBob;
    EXPECT_EQ(answer(), plain_) << "another user's default is none of his";
    EXPECT_EQ(scale(), 0);
    EXPECT_EQ(json(call("GET", "/conclave/v1/adapters/legal").body)["scale"], 0);
    EXPECT_EQ(post("/lora-adapters", R"([{"name":"legal","scale":0.5}])").status, 200);
    EXPECT_EQ(scale(), 0.5);
    owner_ = kAnn;
    EXPECT_EQ(scale(), 1);
    EXPECT_EQ(answer(), legal_);
    EXPECT_EQ(post("/lora-adapters", "[]").status, 200);
    EXPECT_EQ(answer(), plain_);
    owner_ = kBob;
    EXPECT_EQ(scale(), 0.5);
}

TEST_F(LoraDefaults, OnlyWhoRunsTheEngineLoadsAndUnloads) {
    const std::string path = std::string(CONCLAVE_SOURCE_DIR) + "/resources/models/starter/adapters/legal";
    EXPECT_EQ(
        post("/conclave/v1/adapters", R"({"path":")" + path + R"(","name":"mine","model":"starter"})").status,
        403);
    EXPECT_EQ(call("DELETE", "/conclave/v1/adapters/legal").status, 403);
    EXPECT_EQ(answer(R"("lora":[{"name":"legal"}])"), legal_) << "it is still there";
}

}  // namespace
}  // namespace conclave::engine::testing
