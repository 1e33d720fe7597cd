// Many requests at once and one after another, on the real engine with real weights.
#include <algorithm>
#include <array>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <thread>
#include <unistd.h>

#include "engine/client/client.h"
#include "tests/e2e/conclaved_process.h"

namespace conclave::tests {
namespace {

using namespace conclave::engine;

const std::string kTiny = CONCLAVE_SOURCE_DIR "/tests/fixtures/models/llama-tiny/model.gguf";

const std::string kStarter = CONCLAVE_SOURCE_DIR "/resources/models/starter";

protocol::CompletionRequest request(int i) {
    protocol::CompletionRequest out;
    out.generation.model = "tiny";
    out.generation.temperature = i % 3 == 0 ? 0.0 : 0.9;
    out.generation.seed = static_cast<uint64_t>(i);
    out.generation.maxTokens = 40u + static_cast<uint32_t>(i) * 3;
    out.generation.priority = static_cast<base::Priority>(i % 3);
    std::string prompt = "Once upon a time";
    for (int n = 0; n < i * 5; ++n)
        prompt += " there was a number " + std::to_string(n * i);
    out.prompt = prompt.substr(0, 400);
    return out;
}

double metric(const client::Engine& engine, const std::string& sample) {
    const auto response = engine.request("GET", "/metrics");
    const size_t at = response.ok() ? response->body.find("\n" + sample + " ") : std::string::npos;
    return at == std::string::npos ? -1 : std::stod(response->body.substr(at + sample.size() + 2));
}

std::string loadTiny(const client::Engine& engine) {
    const auto ready = engine.loadModel({.path = kTiny, .name = "tiny"});
    return ready.ok() ? "" : base::render(ready.error());
}

TEST(ManyRequests, SixteenStreamsSayWhatEachSaysAlone) {
    constexpr int kStreams = 16;
    std::array<std::string, kStreams> alone, together;
    {
        ConclavedProcess process({"--threads", "1"});
        ASSERT_TRUE(process.ready()) << process.error();
        const client::Engine engine(process.socket());
        ASSERT_EQ(loadTiny(engine), "");
        for (int i = 0; i < kStreams; ++i)
            alone[static_cast<size_t>(i)] = engine.complete(request(i)).text;
    }
    // Another engine, with pages for four of them.
    ConclavedProcess process({"--kv-memory", "512KiB"});
    ASSERT_TRUE(process.ready()) << process.error();
    const client::Engine engine(process.socket());
    ASSERT_EQ(loadTiny(engine), "");
    std::vector<std::thread> clients;
    std::atomic<int> pieces{0};
    for (int i = 0; i < kStreams; ++i)
        clients.emplace_back([&, i] {
            const client::Answer answer =
                client::Engine(process.socket()).complete(request(i), [&](std::string_view) {
                    return ++pieces > 0;
                });
            EXPECT_FALSE(answer.failed.has_value()) << base::render(*answer.failed);
            together[static_cast<size_t>(i)] = answer.text;
        });
    for (std::thread& client : clients)
        client.join();
    EXPECT_EQ(alone, together);
    EXPECT_GT(pieces.load(), kStreams);
    for (const std::string& text : alone)
        EXPECT_FALSE(text.empty());
}

TEST(ManyRequests, FiveHundredCancelledLeaveMemoryWhereItWas) {
    ConclavedProcess process({"--threads", "1", "--model", kStarter});
    ASSERT_TRUE(process.ready()) << process.error();
    const client::Engine engine(process.socket());
    const auto counted = [&] {
        return metric(engine, "conclave_requests_total{model=\"starter\",outcome=\"cancelled\"}");
    };
    const auto cancel = [&](int times) {
        const double goal = std::max(counted(), 0.0) + times;
        for (int i = 0; counted() < goal && i < 3 * times; ++i) {  // one that came to its end does not count
            protocol::CompletionRequest wish = request(i % 3);
            wish.generation.model = "starter";
            wish.generation.temperature = 4;  // the model would come to an end
            wish.generation.maxTokens = 1000;
            int pieces = 0;
            engine.complete(wish, [&](std::string_view) { return ++pieces <= i % 2; });
        }
        for (int i = 0; i < 1000 && !engine.sequences()->empty(); ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        EXPECT_GE(counted(), goal);
    };
    cancel(50);  // until buffers and cached pages are what they will be
    const double memory = metric(engine, "process_resident_memory_bytes");
    const double pages = metric(engine, "conclave_kv_bytes"),
                 cached = metric(engine, "conclave_prefix_cache_pages"),
                 files = metric(engine, "process_open_fds");
    cancel(500);
    EXPECT_TRUE(engine.sequences()->empty());
    const double grown = metric(engine, "process_resident_memory_bytes") - memory;
    std::printf("resident memory %.0f bytes, grown by %.0f; pages %.0f bytes, then %.0f\n", memory, grown,
                pages, metric(engine, "conclave_kv_bytes"));
    EXPECT_LE(grown, 2.0 * (1 << 20));
    EXPECT_EQ(metric(engine, "conclave_kv_bytes") * cached,
              pages * metric(engine, "conclave_prefix_cache_pages"))
        << "only the cache holds pages";
    EXPECT_LE(metric(engine, "process_open_fds"), files + 2);
}

TEST(ManyRequests, HostileFilesDoNotDisturbAStream) {
    ConclavedProcess process({"--model", kStarter});
    ASSERT_TRUE(process.ready()) << process.error();
    const client::Engine engine(process.socket());
    protocol::CompletionRequest wish = request(7);
    wish.generation.model = "starter";
    wish.generation.temperature = 4;
    wish.generation.maxTokens = 200;
    const std::string alone = engine.complete(wish).text;
    std::string text;
    std::thread stream([&] { text = client::Engine(process.socket()).complete(wish).text; });
    const std::string copy = process.folder() + "/hostile.gguf";
    int tried = 0;
    const auto refused = [&](const std::string& what) {
        const auto ready = engine.loadModel({.path = copy, .name = "hostile"});
        ++tried;
        ASSERT_FALSE(ready.ok()) << what;
        EXPECT_NE(ready.error().code, base::Code::EngineLost) << what;
        EXPECT_FALSE(base::render(ready.error()).empty()) << what;
    };
    for (const char* corpus : {"gguf_fuzz", "safetensors_fuzz"})
        for (const auto& file : std::filesystem::directory_iterator(
                 CONCLAVE_SOURCE_DIR "/tests/fuzz/corpus/" + std::string(corpus))) {
            std::filesystem::copy_file(file, copy, std::filesystem::copy_options::overwrite_existing);
            refused(file.path().string());
        }
    const auto whole = std::filesystem::file_size(kTiny);
    for (uintmax_t part = 1; part < 12; ++part) {
        std::filesystem::copy_file(kTiny, copy, std::filesystem::copy_options::overwrite_existing);
        std::filesystem::resize_file(copy, whole * part / 12);
        refused("a model that ends early");
    }
    stream.join();
    EXPECT_EQ(text, alone);
    EXPECT_GE(tried, 20);
    EXPECT_EQ(engine.complete(wish).text, alone);
}

TEST(ManyRequests, TheContextIsPrintedAtTheStart) {
    ConclavedProcess process({"--model", kTiny});
    ASSERT_TRUE(process.ready()) << process.error();
    const std::string out = process.out();
    EXPECT_TRUE(out.starts_with("model ")) << out;
    const client::Engine engine(process.socket());
    const auto info = engine.info();
    ASSERT_TRUE(info.ok());
    const std::string context = "context " + std::to_string(info->models.front().context) + " of ";
    EXPECT_NE(out.find(context), std::string::npos) << out;
    EXPECT_GT(info->kvBytes, 0u);
}

TEST(ManyRequests, LimitsComeFromTheConfiguration) {
    ConclavedProcess first;  // lends its folder
    ASSERT_TRUE(first.ready()) << first.error();
    const std::string config = first.folder() + "/limits.toml";
    std::ofstream(config) << "[limits]\nconnections = 7\nbody = \"1MiB\"\nidle = 1\n";
    ConclavedProcess process({"--config", config});
    ASSERT_TRUE(process.ready()) << process.error();
    const client::Engine engine(process.socket());
    const auto info = engine.info();
    ASSERT_TRUE(info.ok());
    EXPECT_EQ(info->limits.connections, 7u);
    EXPECT_EQ(info->limits.bodyBytes, uint64_t{1} << 20);
    const auto large = engine.request("POST", "/tokenize", std::string(size_t{2} << 20, ' '));
    ASSERT_TRUE(large.ok());
    EXPECT_EQ(large->status, 413);
}

}  // namespace
}  // namespace conclave::tests
