// The real engine over its real socket: streams, vanishing clients, its own death, and what bad flags get.
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include "engine/client/client.h"
#include "tests/e2e/conclaved_process.h"

namespace conclave::tests {
namespace {

using namespace conclave::engine;
using base::Code;

const std::string kSource = CONCLAVE_SOURCE_DIR;
const std::string kStarter = kSource + "/resources/models/starter";
const std::string kTiny = kSource + "/tests/fixtures/models/deepseek-v3-tiny/model.gguf";

protocol::ChatRequest ask(const std::string& model, const std::string& words) {
    protocol::ChatRequest request;
    request.generation.model = model;
    request.messages.push_back(protocol::chatMessage("user", words));
    return request;
}

std::string commandOutput(const std::string& command) {
    std::FILE* pipe = ::popen(command.c_str(), "r");
    std::string out;
    std::array<char, 4096> bytes{};
    for (size_t got = 0; pipe != nullptr && (got = std::fread(bytes.data(), 1, bytes.size(), pipe)) > 0;)
        out.append(bytes.data(), got);
    return pipe != nullptr && ::pclose(pipe) == 0 ? out : "command failed: " + out;
}

bool soon(const std::function<bool()>& condition) {
    for (int i = 0; i < 1000; ++i) {
        if (condition()) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
}

TEST(EngineProcess, StreamsTheStartersWords) {
    ConclavedProcess process({"--model", kStarter});
    ASSERT_TRUE(process.ready()) << process.error();
    struct stat status {};
    ASSERT_EQ(::stat(process.socket().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
    ASSERT_EQ(::stat((process.folder() + "/runtime/conclave").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0700u);

    const client::Engine engine(process.socket());
    const client::Answer streamed = engine.chat(ask("starter", "What can you do?"));
    ASSERT_FALSE(streamed.failed.has_value()) << base::render(*streamed.failed);
    EXPECT_TRUE(streamed.text.starts_with("I can answer questions about your documents")) << streamed.text;
    EXPECT_EQ(streamed.finish, "stop");
    EXPECT_GT(streamed.usage->completionTokens, 10u);
    // whole, by name or without: the same words
    const auto whole = engine.request("POST", "/v1/chat/completions",
                                      R"({"messages":[{"role":"user","content":"What can you do?"}]})");
    ASSERT_TRUE(whole.ok());
    EXPECT_EQ(protocol::readAnswer(whole->body)->text, streamed.text);
    // by the command line, which starts no engine of its own
    const std::string run = CONCLAVE_BINARY_DIR "/bin/conclave run starter 'What can you do?' --socket ";
    EXPECT_EQ(commandOutput(run + process.socket() + " 2>&1"), streamed.text + "\n");
    // and again, from the cache
    const client::Answer again = engine.chat(ask("starter", "What can you do?"));
    EXPECT_EQ(again.text, streamed.text);
}

TEST(EngineProcess, AnotherClientSpeaksToItToo) {
    if (commandOutput("curl --version").starts_with("command failed"))
        GTEST_SKIP() << "curl is not installed";
    ConclavedProcess process({"--model", kStarter});
    ASSERT_TRUE(process.ready()) << process.error();
    const std::string curl = "curl -sS --max-time 60 --unix-socket " + process.socket() + " ";
    EXPECT_EQ(commandOutput(curl + "http://x/health"), R"({"status":"ok"})");
    EXPECT_NE(commandOutput(curl + "http://x/v1/models").find("\"starter\""), std::string::npos);
    const std::string body = R"({"stream":true,"messages":[{"role":"user","content":"What can you do?"}]})";
    const std::string stream = commandOutput(curl + "-H 'Content-Type: application/json' -d '" + body +
                                             "' http://x/v1/chat/completions");
    EXPECT_TRUE(stream.starts_with("data: {")) << stream;
    EXPECT_TRUE(stream.ends_with("data: [DONE]\n\n")) << stream;
    EXPECT_NE(stream.find("\"role\":\"assistant\""), std::string::npos);
    const std::string refused =
        commandOutput(curl + "-d '{}' -w '%{http_code}' http://x/v1/chat/completions");
    EXPECT_TRUE(refused.ends_with("415")) << refused;
    const std::string big = process.folder() + "/big.json";
    std::ofstream(big) << std::string(size_t{34} << 20, ' ');
    const std::string tooLarge = commandOutput(curl + "-H 'Content-Type: application/json' --data-binary @" +
                                               big + " -w '%{http_code}' http://x/tokenize");
    EXPECT_TRUE(tooLarge.ends_with("413")) << tooLarge.substr(0, 400);
}

TEST(EngineProcess, VanishingClientsLeaveNothingBehind) {
    ConclavedProcess process({"--model", kTiny});
    ASSERT_TRUE(process.ready()) << process.error();
    const client::Engine engine(process.socket());
    const std::string model = engine.listModels()->front().id;
    for (int i = 0; i < 20; ++i) {
        protocol::CompletionRequest request;
        request.generation.model = model;
        request.generation.seed = i;
        request.prompt = std::string("The");
        int pieces = 0;
        const client::Answer answer =
            engine.complete(request, [&pieces](std::string_view) { return ++pieces < 3; });
        EXPECT_TRUE(!answer.failed || answer.failed->code == Code::Cancelled);
    }
    EXPECT_TRUE(soon([&] { return engine.sequences()->empty() && engine.info()->requests == 0; }));
}

TEST(EngineProcess, KilledInMidStreamTheTextSoFarIsKept) {
    ConclavedProcess process({"--model", kStarter});
    ASSERT_TRUE(process.ready()) << process.error();
    const client::Engine engine(process.socket());
    std::string seen;
    const client::Answer answer = engine.chat(ask("starter", "What can you do?"), [&](std::string_view text) {
        seen += text;
        process.signal(SIGKILL);
        return true;
    });
    ASSERT_TRUE(answer.failed.has_value()) << answer.text;
    EXPECT_EQ(answer.failed->code, Code::EngineLost);
    EXPECT_FALSE(answer.text.empty());
    EXPECT_EQ(answer.text, seen);
    EXPECT_EQ(process.wait(), 128 + SIGKILL);
    EXPECT_EQ(engine.info().error().code, Code::EngineNotRunning);
    // its socket is left over; the next engine takes it
    EXPECT_TRUE(std::filesystem::exists(process.socket()));
    ConclavedProcess next({"--socket", process.socket()});
    EXPECT_TRUE(next.ready()) << next.error();
    EXPECT_TRUE(engine.info().ok());
}

TEST(EngineProcess, LoadsByPathAndKeepsServingAfterABadFile) {
    ConclavedProcess process;
    ASSERT_TRUE(process.ready()) << process.error();
    const client::Engine engine(process.socket());
    const std::string bad = process.folder() + "/bad.gguf";
    std::ofstream(bad) << "GGUF";
    const auto refused = engine.request("POST", "/conclave/v1/models", R"({"path":")" + bad + "\"}");
    ASSERT_TRUE(refused.ok());
    EXPECT_EQ(refused->status / 100, 4) << refused->body;
    const auto ready = engine.loadModel({.path = kTiny, .name = "tiny"});
    ASSERT_TRUE(ready.ok()) << base::render(ready.error());
    protocol::CompletionRequest request;
    request.generation.model = "tiny";
    request.generation.temperature = 0;
    request.generation.maxTokens = 8;
    request.prompt = std::string("The");
    const client::Answer answer = engine.complete(request);
    EXPECT_FALSE(answer.failed.has_value());
    EXPECT_LE(answer.usage->completionTokens, 8u);
}

TEST(EngineProcess, TermAndInterruptEndItWell) {
    for (const int number : {SIGTERM, SIGINT}) {
        ConclavedProcess process;
        ASSERT_TRUE(process.ready()) << process.error();
        process.signal(number);
        EXPECT_EQ(process.wait(), 0) << process.error();
        EXPECT_FALSE(std::filesystem::exists(process.socket()));
    }
    ConclavedProcess process;
    ASSERT_TRUE(process.ready());
    EXPECT_TRUE(client::Engine(process.socket()).stop().ok());
    EXPECT_EQ(process.wait(), 0);
}

TEST(EngineProcess, ASecondOneFindsTheSocketTaken) {
    ConclavedProcess first;
    ASSERT_TRUE(first.ready());
    ConclavedProcess second({"--socket", first.socket()});
    EXPECT_FALSE(second.ready());
    EXPECT_EQ(second.wait(), 2);
    EXPECT_NE(second.error().find("another engine"), std::string::npos) << second.error();
    EXPECT_TRUE(client::Engine(first.socket()).info().ok());
}

struct BadStart {
    std::vector<std::string> flags;
    std::string words;
};

TEST(EngineProcess, BadFlagsGetOneSentenceAndTwo) {
    const BadStart rows[] = {
        {{"--kernels", "quantum"}, "quantum"},
        {{"--threads", "4096"}, "4096"},
        {{"--threads", "-1"}, "--threads"},
        {{"--threads", "many"}, "--threads"},
        {{"--kv", "q4"}, "--kv"},
        {{"--kv-memory", "lots"}, "--kv-memory"},
        {{"--kv-memory", "1k", "--model", kTiny}, "--kv-memory"},
        {{"--context", "100000000", "--model", kTiny}, "--context"},
        {{"--model", "/nowhere/model.gguf"}, "/nowhere/model.gguf"},
        {{"--model", "/dev/null"}, "/dev/null"},
        {{"--model", "nobody"}, "nobody"},
        {{"--config", "/nowhere/config.toml"}, "/nowhere/config.toml"},
        {{"--socket", "/" + std::string(150, 'x')}, "too long"},
        {{"--colour", "red"}, "--colour"},
    };
    for (const BadStart& row : rows) {
        ConclavedProcess process(row.flags);
        EXPECT_FALSE(process.ready()) << row.words;
        EXPECT_EQ(process.wait(), 2) << row.words << process.error();
        const std::string error = process.error();
        const size_t sentence = error.rfind("conclaved: ");
        ASSERT_NE(sentence, std::string::npos) << error;
        EXPECT_NE(error.find(row.words, sentence), std::string::npos) << error;
        EXPECT_FALSE(std::filesystem::exists(process.socket())) << row.words;
    }
}

TEST(EngineProcess, OneThreadOrTwoTheWordsAreTheSame) {
    std::string texts[2];
    for (const int threads : {1, 2}) {
        ConclavedProcess process({"--model", kTiny, "--threads", std::to_string(threads)});
        if (!process.ready()) {
            EXPECT_NE(process.error().find("cores"), std::string::npos) << process.error();
            GTEST_SKIP() << "this machine has one core";
        }
        const client::Engine engine(process.socket());
        protocol::CompletionRequest request;
        request.generation.seed = 7;
        request.generation.maxTokens = 40;
        request.prompt = std::string("Once upon a time");
        texts[threads - 1] = engine.complete(request).text;
    }
    EXPECT_FALSE(texts[0].empty());
    EXPECT_EQ(texts[0], texts[1]);
}

}  // namespace
}  // namespace conclave::tests
