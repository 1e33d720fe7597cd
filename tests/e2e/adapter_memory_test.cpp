// More adapters than the engine has memory for, through the real engine: what makes room, what stays, what
// comes back, and what a caller is told.
#include <atomic>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <thread>

#include "engine/client/client.h"
#include "engine/protocol/json.h"
#include "tests/e2e/conclaved_process.h"

namespace conclave::tests {
namespace {

namespace fs = std::filesystem;
using namespace conclave::engine;
using protocol::Json;

const std::string kStarter = std::string(CONCLAVE_SOURCE_DIR) + "/resources/models/starter";
constexpr uint64_t kBudget = uint64_t{1360} << 10;  // six of the starter's adapters
constexpr int kFit = 6;

struct FewAdaptersFit : ::testing::Test {
    std::unique_ptr<ConclavedProcess> process = std::make_unique<ConclavedProcess>(
        std::vector<std::string>{"--model", kStarter, "--adapter-memory", "1360KiB"});
    void SetUp() override { ASSERT_TRUE(process->ready()) << process->error(); }

    client::Response send(const std::string& method, const std::string& path,
                          const std::string& body = "") const {
        auto response = client::Engine(process->socket()).request(method, path, body);
        EXPECT_TRUE(response.ok()) << base::render(response.error());
        return response.ok() ? *response : client::Response{};
    }
    Json get(const std::string& path, int status = 200) const {
        const client::Response response = send("GET", path);
        EXPECT_EQ(response.status, status) << path << response.body;
        return *protocol::parseJson(response.body);
    }
    Json chat(const std::string& fields, int status = 200, int tokens = 5) const {
        const client::Response response =
            send("POST", "/v1/chat/completions",
                 R"({"messages":[{"role":"user","content":"How do I return a parcel?"}],"temperature":0,)"
                 R"("max_tokens":)" +
                     std::to_string(tokens) + "," + fields + "}");
        EXPECT_EQ(response.status, status) << response.body;
        return *protocol::parseJson(response.body);
    }
    static std::string text(const Json& answer) { return answer["choices"][0]["message"]["content"]; }
    static std::string message(const Json& answer) { return answer["error"]["message"]; }

    /// The legal adapter with a strength of its own, below `folder`.
    static std::string copy(const fs::path& folder, const std::string& name, int alpha) {
        fs::create_directories(folder);
        fs::copy(kStarter + "/adapters/legal", folder / name);
        Json config = *protocol::parseJson([&] {
            std::ifstream in(folder / name / "adapter_config.json");
            return std::string(std::istreambuf_iterator<char>(in), {});
        }());
        config["lora_alpha"] = alpha;
        std::ofstream(folder / name / "adapter_config.json") << config.dump();
        return (folder / name).string();
    }
    fs::path installed() const { return process->folder() + "/data/conclave/adapters"; }
};

TEST_F(FewAdaptersFit, ThirtyTakeTurnsAndAnswerAsBefore) {
    constexpr int kAdapters = 30;
    std::map<std::string, std::string> first;
    for (int i = 0; i < kAdapters; ++i) {
        const std::string name = "tuned-" + std::to_string(i);
        copy(installed(), name, 2 + 3 * i);
        first[name] = text(chat(R"("model":"starter:)" + name + "\""));
        const Json memory = get("/conclave/v1/adapters")["memory"];
        EXPECT_LE(memory["used"], kBudget);
        EXPECT_EQ(memory["budget"], kBudget);
    }
    const Json rows = get("/conclave/v1/adapters")["data"];
    ASSERT_EQ(rows.size(), static_cast<size_t>(kAdapters));
    EXPECT_EQ(rows[0]["loaded"], false);
    EXPECT_EQ(rows[0]["bytes"], 0);
    EXPECT_EQ(rows[kAdapters - 1]["loaded"], true);
    std::vector<std::thread> streams;
    std::atomic<int> wrong{0};
    for (int s = 0; s < 4; ++s)
        streams.emplace_back([&, s] {
            for (int turn = 0; turn < 5; ++turn) {
                const int i = (s * 11 + turn * 7) % kAdapters;
                const std::string byName = R"("lora":[{"name":"tuned-)" + std::to_string(i) + "\"}]",
                                  byId = R"("lora":[{"id":)" + std::to_string(i) + "}]";
                wrong += text(chat(turn % 2 == 0 ? byName : byId)) != first["tuned-" + std::to_string(i)];
            }
        });
    for (std::thread& stream : streams)
        stream.join();
    EXPECT_EQ(wrong, 0);
    const std::string metrics = send("GET", "/metrics").body;
    EXPECT_NE(metrics.find("conclave_adapter_budget_bytes 1392640"), std::string::npos);
    EXPECT_EQ(metrics.find("conclave_adapter_evictions_total 0\n"), std::string::npos);
    std::string list;
    if (std::FILE* pipe = ::popen((std::string(CONCLAVE_BINARY_DIR) +
                                   "/bin/conclave adapters list --socket " + process->socket() + " 2>&1")
                                      .c_str(),
                                  "r")) {
        for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe))
            list += static_cast<char>(c);
        EXPECT_EQ(::pclose(pipe), 0);
    }
    EXPECT_NE(list.find("made room for others"), std::string::npos) << list;
    EXPECT_NE(list.find("memory: "), std::string::npos) << list;
}

TEST_F(FewAdaptersFit, WhereAllAreAtWorkOneMoreIsRefused) {
    for (int i = 0; i <= kFit; ++i)
        copy(installed(), "tuned-" + std::to_string(i), 16 + i);
    for (int i = 0; i < kFit; ++i)
        chat(R"("model":"starter:tuned-)" + std::to_string(i) + "\"");
    std::vector<std::thread> streams;
    std::atomic<int> over{0};
    for (int i = 0; i < kFit; ++i)
        streams.emplace_back([&, i] {
            chat(R"("model":"starter:tuned-)" + std::to_string(i) + R"(","ignore_eos":true)", 200, 900);
            ++over;
        });
    const auto holding = [&] {
        int users = 0;
        const Json list = get("/conclave/v1/adapters");
        for (const Json& row : list["data"])
            users += row["users"].get<int>();
        return users;
    };
    while (over == 0 && holding() < kFit)
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    const client::Response refused =
        send("POST", "/v1/completions", R"({"model":"starter:tuned-6","prompt":"x","max_tokens":1})");
    const bool met = over == 0;
    for (std::thread& stream : streams)
        stream.join();
    ASSERT_TRUE(met) << "the answers must be long enough to be met";
    EXPECT_EQ(refused.status, 503);
    const std::string refusal = message(*protocol::parseJson(refused.body));
    EXPECT_TRUE(refusal.starts_with("adapter tuned-6 needs ")) << refusal;
    EXPECT_NE(refusal.find("of the 1.3 MiB for adapters are held by requests that run; try again later"),
              std::string::npos)
        << refusal;
    for (int i = 0; i < 1000 && holding() > 0; ++i)  // a sequence goes shortly after its last word
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    EXPECT_EQ(holding(), 0);
    EXPECT_FALSE(text(chat(R"("model":"starter:tuned-6")")).empty());
}

TEST_F(FewAdaptersFit, ARequestForMoreThanFitIsNotToldToWait) {
    std::string uses;
    for (int i = 0; i <= kFit; ++i) {
        copy(installed(), "tuned-" + std::to_string(i), 16 + i);
        uses += (i > 0 ? "," : "") + std::string(R"({"name":"tuned-)") + std::to_string(i) + "\"}";
    }
    const std::string refusal = message(chat(R"("model":"starter","lora":[)" + uses + "]", 400));
    EXPECT_TRUE(refusal.starts_with("lora: asks for 7 adapters, which do not fit")) << refusal;
    chat(R"("model":"starter:tuned-6")");
}

TEST_F(FewAdaptersFit, ADefaultIsNeverPassedOver) {
    const std::string base = text(chat(R"("lora":[])"));
    const std::string mine = copy(process->folder() + "/elsewhere", "mine", 64);
    EXPECT_NE(send("POST", "/conclave/v1/adapters", R"({"path":")" + mine + "\"}").body.find("event: ready"),
              std::string::npos);
    const std::string adapted = text(chat(R"("lora":[{"name":"mine"}])"));
    ASSERT_NE(adapted, base);
    EXPECT_EQ(send("POST", "/lora-adapters", R"([{"name":"mine"}])").status, 200);
    for (int i = 0; i <= kFit; ++i) {  // let go for others
        const std::string name = "tuned-" + std::to_string(i);
        copy(installed(), name, 3 + i);
        chat(R"("model":"starter:)" + name + "\"");
    }
    EXPECT_EQ(get("/conclave/v1/adapters/mine")["loaded"], false);
    EXPECT_EQ(text(chat(R"("seed":1)")), adapted) << "it comes back";
    EXPECT_EQ(get("/conclave/v1/adapters/mine")["scale"], 1.0);
    EXPECT_EQ(send("DELETE", "/conclave/v1/adapters/mine").status, 200);
    EXPECT_EQ(
        message(chat(R"("seed":1)", 400)),
        "lora: adapter mine is your default and has been unloaded; set another with POST /lora-adapters "
        "([] for none), or send lora with the request");
    EXPECT_EQ(text(chat(R"("lora":[])")), base);
    // An installed one comes back under its name.
    const std::string tuned = text(chat(R"("model":"starter:tuned-3")"));
    EXPECT_EQ(send("POST", "/lora-adapters", R"([{"name":"starter:tuned-3"}])").status, 200);
    EXPECT_EQ(send("DELETE", "/conclave/v1/adapters/tuned-3").status, 200);
    EXPECT_EQ(text(chat(R"("seed":1)")), tuned);
    EXPECT_EQ(get("/conclave/v1/adapters/tuned-3")["scale"], 1.0);
    EXPECT_EQ(send("POST", "/lora-adapters", "[]").status, 200);
    EXPECT_EQ(text(chat(R"("seed":1)")), base);
}

TEST_F(FewAdaptersFit, TheyAreListedAsModels) {
    const auto rowOf = [&](const std::string& id) {
        const Json list = get("/v1/models");
        for (const Json& row : list["data"])
            if (row["id"] == id) return row;
        return Json();
    };
    EXPECT_EQ(rowOf("starter")["parent"], nullptr);
    const Json before = rowOf("legal");
    ASSERT_TRUE(before.is_object());
    EXPECT_EQ(before["parent"], "starter");
    EXPECT_EQ(before["root"], fs::canonical(kStarter).string() + "/adapters/legal");
    EXPECT_EQ(before["conclave"]["loaded"], false);
    EXPECT_EQ(chat(R"("model":"legal")")["model"], "legal") << "what is listed can be named";
    EXPECT_EQ(rowOf("legal")["conclave"]["loaded"], true);
    EXPECT_EQ(get("/v1/models/legal")["object"], "model");
    EXPECT_EQ(get("/v1/models/starter:legal")["id"], "legal");
    get("/v1/models/nobody", 404);
    EXPECT_EQ(client::Engine(process->socket()).listModels()->size(), 1u) << "conclave models lists models";
}

TEST_F(FewAdaptersFit, OneIsDescribed) {
    chat(R"("model":"starter:legal")");
    Json one = get("/conclave/v1/adapters/legal");
    for (int i = 0; i < 1000 && one["users"] != 0; ++i) {  // a sequence goes shortly after its last word
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        one = get("/conclave/v1/adapters/legal");
    }
    EXPECT_EQ(get("/conclave/v1/adapters/starter:legal")["id"], one["id"]);
    EXPECT_EQ(one["model"], "starter");
    EXPECT_EQ(one["format"], "peft");
    EXPECT_EQ(protocol::dump(one["ranks"]), "[8]");
    EXPECT_EQ(one["alpha"], 16.0);
    EXPECT_EQ(one["rslora"], false);
    EXPECT_EQ(one["users"], 0);
    EXPECT_EQ(one["content_id"].get<std::string>().size(), 64u);
    EXPECT_GT(one["bytes"], 200'000);
    EXPECT_GT(one["last_used"], 1'000'000'000);
    EXPECT_EQ(one["targets"][0], "mlp.down_proj");
    uint32_t matrices = 0;
    for (const Json& layer : one["layers"])
        matrices += layer["matrices"].get<uint32_t>();
    EXPECT_EQ(one["matrices"], matrices);
    EXPECT_EQ(message(get("/conclave/v1/adapters/nobody", 404)),
              "there is no adapter nobody; there are: legal, customer-service");
    const Json other = get("/conclave/v1/adapters/customer-service");
    EXPECT_EQ(other["loaded"], false) << "nobody has named it so far, and its file says enough";
    EXPECT_EQ(other["id"], nullptr);
    EXPECT_EQ(other["format"], "peft");
    EXPECT_EQ(protocol::dump(other["ranks"]), "[8]");
    EXPECT_GT(other["pairs"], 0);
    EXPECT_EQ(get("/conclave/v1/adapters/starter:customer-service"), other);
    const Json list = get("/conclave/v1/adapters");
    ASSERT_EQ(list["installed"].size(), 1u) << list.dump();
    EXPECT_EQ(list["installed"][0]["name"], "customer-service");
    EXPECT_EQ(list["installed"][0]["model"], "starter");
}

TEST(AdapterMemory, MoreThanThereIsIsRefusedAtTheStart) {
    ConclavedProcess process({"--adapter-memory", "1000TiB"});
    EXPECT_FALSE(process.ready());
    EXPECT_NE(process.error().find("--adapter-memory"), std::string::npos) << process.error();
}

}  // namespace
}  // namespace conclave::tests
