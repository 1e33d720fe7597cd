// Adapters through the real engine and its socket: chosen by the request, switched under many streams.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <map>
#include <thread>

#include "engine/protocol/json.h"
#include "tests/e2e/starter_engine.h"

namespace conclave::tests {
namespace {

namespace fs = std::filesystem;
using namespace conclave::engine;
using protocol::Json;

const std::string kStarter = std::string(CONCLAVE_SOURCE_DIR) + "/resources/models/starter";

class AdaptersOverTheSocket : public StarterEngine {
  protected:
    static Json chat(const std::string& fields, int status = 200) {
        const client::Response response =
            send("POST", "/v1/chat/completions",
                 R"({"messages":[{"role":"user","content":"How do I return a parcel?"}],)"
                 R"("temperature":0,"max_tokens":40,)" +
                     fields + "}");
        EXPECT_EQ(response.status, status) << response.body;
        return *protocol::parseJson(response.body);
    }
    static std::string text(const Json& answer) { return answer["choices"][0]["message"]["content"]; }
    static std::string message(const Json& answer) { return answer["error"]["message"]; }

    /// A copy of the legal adapter in the engine's folder, and its weights' file.
    static std::string copyOfLegal(const std::string& name) {
        fs::copy(kStarter + "/adapters/legal", process_->folder() + "/" + name);
        return process_->folder() + "/" + name;
    }
    static std::string weights(const std::string& adapter) {
        std::ifstream in(adapter + "/adapter_model.safetensors", std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    static void setWeights(const std::string& adapter, const std::string& bytes) {
        std::ofstream(adapter + "/adapter_model.safetensors", std::ios::binary) << bytes;
    }
    /// What `conclave` with these words says to its person.
    static std::string said(const std::string& words, int code = 0) {
        std::string out;
        const std::string command = std::string(CONCLAVE_BINARY_DIR) + "/bin/conclave " + words + " 2>&1";
        std::FILE* pipe = ::popen(command.c_str(), "r");
        if (pipe == nullptr) return out;
        for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe))
            out += static_cast<char>(c);
        EXPECT_EQ(WEXITSTATUS(::pclose(pipe)), code) << out;
        return out;
    }
};

TEST_F(AdaptersOverTheSocket, AreNamedInEveryWay) {
    const std::string base = text(chat(R"("model":"starter")"));
    const Json named = chat(R"("model":"starter:legal")");
    EXPECT_NE(text(named), base);
    EXPECT_EQ(named["model"], "starter:legal");
    EXPECT_EQ(text(chat(R"("model":"legal")")), text(named)) << "now that it is loaded";
    EXPECT_EQ(text(chat(R"("lora":[{"name":"legal"}])")), text(named));
    const Json list = *protocol::parseJson(send("GET", "/lora-adapters").body);
    ASSERT_FALSE(list.empty());
    EXPECT_EQ(list[0]["name"], "legal");
    EXPECT_EQ(text(chat(R"("lora":[{"id":0,"scale":1.0}])")), text(named));
    EXPECT_EQ(text(chat(R"("lora":[{"id":0,"scale":0}])")), base);
    EXPECT_EQ(text(chat(R"("lora":[])")), base);
}

TEST_F(AdaptersOverTheSocket, ACallersDefaultCountsWhereARequestDoesNotSay) {
    const std::string base = text(chat(R"("lora":[])")), legal = text(chat(R"("model":"starter:legal")"));
    EXPECT_EQ(send("POST", "/lora-adapters", R"([{"id":0,"scale":1}])").body, R"({"success":true})");
    EXPECT_EQ(text(chat(R"("seed":1)")), legal);
    EXPECT_EQ(text(chat(R"("lora":[])")), base);
    EXPECT_NE(text(chat(R"("model":"starter:customer-service")")), legal);
    EXPECT_EQ((*protocol::parseJson(send("GET", "/lora-adapters").body))[0]["scale"], 1.0);
    EXPECT_EQ(send("POST", "/lora-adapters", "[]").status, 200);
    EXPECT_EQ(text(chat(R"("seed":1)")), base);
}

TEST_F(AdaptersOverTheSocket, SixteenStreamsSwitchAndKeepTheirOwn) {
    const std::vector<std::string> kinds = {R"("lora":[])", R"("model":"starter:legal")",
                                            R"("model":"starter:customer-service")",
                                            R"("lora":[{"name":"legal","scale":0.5}])"};
    std::map<std::string, std::string> want;
    for (const std::string& kind : kinds)
        want[kind] = text(chat(kind));
    std::vector<std::thread> streams;
    std::array<int, 16> wrong{};
    for (size_t i = 0; i < wrong.size(); ++i)
        streams.emplace_back([&, i] {
            for (size_t turn = 0; turn < 4; ++turn) {
                const std::string& kind = kinds[(i + turn * 3) % kinds.size()];
                wrong[i] += text(chat(kind)) != want[kind];
            }
        });
    for (std::thread& stream : streams)
        stream.join();
    EXPECT_EQ(std::ranges::count(wrong, 0), 16);
}

TEST_F(AdaptersOverTheSocket, MistakesAreOneSentence) {
    const std::string unknown = message(chat(R"("model":"starter:nobody")", 404));
    EXPECT_TRUE(unknown.starts_with("there is no adapter nobody; there are: ")) << unknown;
    EXPECT_NE(unknown.find("customer-service"), std::string::npos);
    EXPECT_NE(message(chat(R"("lora":[{"id":77}])", 404)).find("there is no adapter 77"), std::string::npos);
    EXPECT_NE(message(chat(R"("lora":[{"name":"../legal"}])", 404)).find("no adapter ../legal"),
              std::string::npos);
    EXPECT_NE(message(chat(R"("lora":[{"scale":1}])", 400)).find("lora[0].id: is missing"),
              std::string::npos);
    EXPECT_NE(message(chat(R"("lora":[{"id":0,"scale":1e9}])", 400)).find("-100 to 100"), std::string::npos);
    EXPECT_NE(message(chat(R"("lora":{"id":0})", 400)).find("a list of at most 16"), std::string::npos);
    EXPECT_EQ(send("POST", "/lora-adapters", R"([{"name":"nobody"}])").status, 404);
    EXPECT_EQ(send("POST", "/lora-adapters", "{").status, 400);
    EXPECT_EQ(send("POST", "/conclave/v1/adapters", R"({"path":"legal"})").status, 400);
    EXPECT_EQ(send("POST", "/conclave/v1/adapters", R"({"path":"/nothing"})").status, 400);
    const std::string path = kStarter + "/adapters/legal";
    EXPECT_EQ(send("POST", "/conclave/v1/adapters", R"({"name":"starter","path":")" + path + "\"}").status,
              409);
}

TEST_F(AdaptersOverTheSocket, OneThatIsTakenOffFinishesWhatItBegan) {
    const std::string path = kStarter + "/adapters/legal";
    const client::Response loaded =
        send("POST", "/conclave/v1/adapters", R"({"name":"other","path":")" + path + "\"}");
    EXPECT_NE(loaded.body.find("event: ready"), std::string::npos) << loaded.body;
    const std::string want = text(chat(R"("model":"starter:legal")"));
    std::string got;
    std::atomic<bool> over{false};
    std::thread stream([&] {
        got = text(chat(R"("model":"starter:other")"));
        over = true;
    });
    while (!over && engine().sequences()->empty()) {
    }
    EXPECT_EQ(send("DELETE", "/conclave/v1/adapters/other").status, 200);
    stream.join();
    EXPECT_EQ(got, want);
    EXPECT_EQ(send("DELETE", "/conclave/v1/adapters/other").status, 404);
}

TEST_F(AdaptersOverTheSocket, DamagedFilesAreRefusedAndTheBaseAnswersAsBefore) {
    const auto bits = [](const char* adapters) {  // log probabilities tell every bit of a logit that counts
        return protocol::dump(
            chat(std::string(adapters) + R"(,"logprobs":true,"top_logprobs":20)")["choices"]);
    };
    const std::string base = bits(R"("lora":[])"), legal = bits(R"("model":"starter:legal")");
    ASSERT_NE(base, legal);
    const auto refused = [&](const std::string& path) {
        const auto loaded = engine().loadAdapter({path, "damaged", "starter"});
        EXPECT_FALSE(loaded.ok()) << path;
        EXPECT_EQ(bits(R"("lora":[])"), base) << path;
        const std::string sentence = loaded.ok() ? "" : base::render(loaded.error());
        EXPECT_NE(sentence.find(path), std::string::npos) << sentence;
        EXPECT_EQ(sentence.find('\n'), std::string::npos) << sentence;
        EXPECT_EQ(said("adapters load starter " + path + " --socket " + process_->socket(), 2),
                  "conclave: " + sentence + "\n");
        return sentence;
    };
    const std::string path = copyOfLegal("damaged"), whole = weights(path);
    for (const size_t kept : {whole.size() / 2, whole.size() - 1, size_t{1000}, size_t{0}}) {
        setWeights(path, whole.substr(0, kept));
        refused(path);
    }
    const std::string gguf = process_->folder() + "/bad.gguf";
    std::ofstream(gguf) << "BAD!\n";
    refused(gguf);
    EXPECT_EQ(send("POST", "/v1/completions", R"({"model":"damaged","prompt":"x"})").status, 404);
    setWeights(path, whole);
    const auto good = engine().loadAdapter({path, "damaged", "starter"});
    ASSERT_TRUE(good.ok()) << base::render(good.error());
    EXPECT_TRUE(good->warnings.empty());
    EXPECT_EQ(bits(R"("lora":[{"name":"damaged"}])"), legal);
    EXPECT_EQ(bits(R"("lora":[])"), base);
    EXPECT_EQ(send("DELETE", "/conclave/v1/adapters/damaged").status, 200);
}

/// As PEFT writes an adapter before it is trained: every B is zero.
TEST_F(AdaptersOverTheSocket, OneThatChangesNothingLoadsWithAWarning) {
    const std::string path = copyOfLegal("fresh"),
                      about = "fresh changes nothing: every product of its factors";
    std::string bytes = weights(path);
    uint64_t header = 0;
    std::memcpy(&header, bytes.data(), sizeof header);
    const Json tensors = *protocol::parseJson(bytes.substr(8, header));
    for (const auto& [name, tensor] : tensors.items())
        if (name.ends_with("lora_B.weight")) {
            const size_t begin = tensor["data_offsets"][0], end = tensor["data_offsets"][1];
            std::fill_n(bytes.begin() + static_cast<ptrdiff_t>(8 + header + begin), end - begin, '\0');
        }
    setWeights(path, bytes);
    const auto loaded = engine().loadAdapter({path, "", "starter"});
    ASSERT_TRUE(loaded.ok()) << base::render(loaded.error());
    ASSERT_EQ(loaded->warnings.size(), 1u);
    EXPECT_TRUE(loaded->warnings[0].starts_with("adapter " + about)) << loaded->warnings[0];
    EXPECT_EQ(text(chat(R"("model":"starter:fresh")")), text(chat(R"("lora":[])")));
    EXPECT_EQ(send("DELETE", "/conclave/v1/adapters/fresh").status, 200);
    const std::string socket = " --socket " + process_->socket(),
                      warning = "conclave: warning: adapter " + about;
    EXPECT_NE(said("adapters load starter " + path + socket).find(warning), std::string::npos);
    EXPECT_NE(said("run starter hello --max-tokens 2 --adapter " + path + socket).find(warning),
              std::string::npos);
    EXPECT_NE(said("adapters info " + path + " --model starter").find(about), std::string::npos);
    EXPECT_EQ(said("adapters info " + kStarter + "/adapters/legal --model starter").find("warning"),
              std::string::npos);
    EXPECT_EQ(send("DELETE", "/conclave/v1/adapters/fresh").status, 200);
}

}  // namespace
}  // namespace conclave::tests
