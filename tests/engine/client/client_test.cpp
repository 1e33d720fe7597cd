#include "engine/client/client.h"

#include <chrono>
#include <filesystem>
#include <gtest/gtest.h>
#include <thread>

#include "engine/client/ensure_engine.h"
#include "engine/protocol/errors.h"
#include "tests/engine/client/fake_engine.h"

namespace conclave::engine::client {
namespace {

using base::Code;
using testing::FakeEngine;

class ClientTest : public ::testing::Test {
  protected:
    void SetUp() override {
        std::string name = ::testing::TempDir() + "client-XXXXXX";
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        folder_ = name;
        socket_ = folder_ + "/e.sock";
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }

    std::string folder_, socket_;
};

const protocol::AnswerHead kHead{protocol::AnswerKind::Chat, "chatcmpl-1", 1, "m", "", false};

std::string chunk(std::string_view text) {
    return protocol::sseFrame("", protocol::textChunk(kHead, {std::string(text)}));
}

protocol::ChatRequest hello() {
    protocol::ChatRequest request;
    request.messages.push_back(protocol::chatMessage("user", "hi"));
    return request;
}

TEST_F(ClientTest, NobodyThere) {
    const auto info = Engine(socket_).info();
    ASSERT_FALSE(info.ok());
    EXPECT_EQ(info.error().code, Code::EngineNotRunning);
    EXPECT_EQ(info.error().file, socket_);
}

TEST_F(ClientTest, APathTooLongForASocket) {
    const auto info = Engine("/" + std::string(200, 'x')).info();
    ASSERT_FALSE(info.ok());
    EXPECT_EQ(info.error().code, Code::PathTooLong);
}

TEST_F(ClientTest, AnErrorKeepsItsSentence) {
    const base::Error error{Code::UnknownModel, {}, "model", {"x", "a, b"}};
    FakeEngine fake(socket_,
                    [&](const std::string&) { return FakeEngine::json(404, protocol::errorBody(error)); });
    const auto models = Engine(socket_).listModels();
    ASSERT_FALSE(models.ok());
    EXPECT_EQ(models.error().code, Code::UnknownModel);
    EXPECT_EQ(base::render(models.error()), base::render(error));
}

TEST_F(ClientTest, ABareRequestGivesAnyStatus) {
    std::string seen;
    FakeEngine fake(socket_, [&](const std::string& request) {
        seen = request;
        return FakeEngine::json(418, "{}");
    });
    const auto response = Engine(socket_).request("PUT", "/x", "{\"a\":1}");
    ASSERT_TRUE(response.ok());
    EXPECT_EQ(response->status, 418);
    EXPECT_EQ(response->contentType, "application/json");
    EXPECT_TRUE(seen.starts_with("PUT /x HTTP/1.1\r\n")) << seen;
    EXPECT_TRUE(seen.ends_with("\r\n\r\n{\"a\":1}")) << seen;
}

TEST_F(ClientTest, AStreamedAnswer) {
    FakeEngine fake(socket_, [&](const std::string&) {
        return FakeEngine::events(
            protocol::sseFrame("", protocol::roleChunk(kHead)) + chunk("Hello") + chunk(" you") +
            protocol::sseFrame("", protocol::finishChunk(kHead, protocol::Finish::Length)) +
            protocol::sseFrame("", protocol::usageChunk(kHead, {3, 2, 1})) +
            protocol::sseFrame("", protocol::kDone));
    });
    std::vector<std::string> deltas;
    const Answer answer = Engine(socket_).chat(hello(), [&](std::string_view text) {
        deltas.emplace_back(text);
        return true;
    });
    ASSERT_FALSE(answer.failed.has_value()) << base::render(*answer.failed);
    EXPECT_EQ(answer.text, "Hello you");
    EXPECT_EQ(deltas, (std::vector<std::string>{"Hello", " you"}));
    EXPECT_EQ(answer.finish, "length");
    EXPECT_EQ(answer.usage->cachedTokens, 1u);
    EXPECT_EQ(answer.model, "m");
}

TEST_F(ClientTest, AnEngineThatDiesLeavesTheTextSoFar) {
    FakeEngine fake(socket_,
                    [&](const std::string&) { return FakeEngine::events(chunk("half a ") + chunk("sen")); });
    const Answer answer = Engine(socket_).chat(hello());
    ASSERT_TRUE(answer.failed.has_value());
    EXPECT_EQ(answer.failed->code, Code::EngineLost);
    EXPECT_EQ(answer.text, "half a sen");
    EXPECT_EQ(answer.finish, "");
}

TEST_F(ClientTest, AConnectionThatBreaksIsEngineLost) {
    FakeEngine fake(socket_, [](const std::string&) {
        return "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: "
               "chunked\r\n\r\n5\r\nda";
    });
    const Answer answer = Engine(socket_).chat(hello());
    ASSERT_TRUE(answer.failed.has_value());
    EXPECT_EQ(answer.failed->code, Code::EngineLost);
    const auto silent = [](const std::string&) { return std::string(); };
    FakeEngine other(folder_ + "/f.sock", silent);
    EXPECT_EQ(Engine(folder_ + "/f.sock").info().error().code, Code::EngineLost);
}

TEST_F(ClientTest, AnErrorInMidStreamIsTheAnswersFailure) {
    FakeEngine fake(socket_, [&](const std::string&) {
        return FakeEngine::events(
            chunk("1 2") + protocol::sseFrame("", protocol::errorBody({Code::InvalidNumbers, {}, {}, {}})));
    });
    const Answer answer = Engine(socket_).chat(hello());
    ASSERT_TRUE(answer.failed.has_value());
    EXPECT_EQ(answer.failed->code, Code::InvalidNumbers);
    EXPECT_EQ(answer.text, "1 2");
}

TEST_F(ClientTest, CancelEndsAWaitingCall) {
    FakeEngine fake(socket_, [&](const std::string&) { return FakeEngine::events(chunk("one")); });
    fake.hold = true;
    const Cancellation cancel;
    std::thread later([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(60));
        cancel.cancel();
    });
    const Answer answer = Engine(socket_).chat(hello(), {}, &cancel);
    later.join();
    ASSERT_TRUE(answer.failed.has_value());
    EXPECT_EQ(answer.failed->code, Code::Cancelled);
    EXPECT_EQ(answer.text, "one");
}

TEST_F(ClientTest, HangingUpFromACallback) {
    FakeEngine fake(socket_,
                    [&](const std::string&) { return FakeEngine::events(chunk("one") + chunk("two")); });
    const Answer answer = Engine(socket_).chat(hello(), [](std::string_view) { return false; });
    EXPECT_EQ(answer.text, "one");
    EXPECT_EQ(answer.failed->code, Code::Cancelled);
}

TEST_F(ClientTest, LoadingTellsProgressThenTheName) {
    FakeEngine fake(socket_, [&](const std::string&) {
        return FakeEngine::events(
            protocol::sseFrame("progress", protocol::toText(protocol::LoadProgress{"read weights", 1, 2})) +
            protocol::sseFrame("progress", protocol::toText(protocol::LoadProgress{"read weights", 2, 2})) +
            protocol::sseFrame("ready", protocol::toText(protocol::LoadReady{"m", {}})));
    });
    int steps = 0;
    const auto ready = Engine(socket_).loadModel({.path = "/m", .name = {}},
                                                 [&](const protocol::LoadProgress&) { ++steps; });
    ASSERT_TRUE(ready.ok()) << base::render(ready.error());
    EXPECT_EQ(ready->id, "m");
    EXPECT_EQ(steps, 2);
}

TEST_F(ClientTest, LoadingThatFails) {
    const base::Error error{Code::FileEmpty, "/m", {}, {}};
    FakeEngine fake(socket_, [&](const std::string&) {
        return FakeEngine::events(protocol::sseFrame("error", protocol::errorBody(error)));
    });
    EXPECT_EQ(Engine(socket_).loadModel({.path = "/m", .name = {}}).error().code, Code::FileEmpty);
    FakeEngine cut(folder_ + "/f.sock", [&](const std::string&) { return FakeEngine::events(""); });
    EXPECT_EQ(Engine(folder_ + "/f.sock").loadModel({.path = "/m", .name = {}}).error().code,
              Code::EngineLost);
}

std::string snapshotEvent(uint64_t tokens) {
    const protocol::ExpertsSnapshot snapshot{.model = "m", .experts = 4, .chosen = 2, .tokens = tokens};
    return protocol::sseFrame(protocol::kExpertsEvent, protocol::toText(snapshot));
}

TEST_F(ClientTest, ExpertsAreWatchedUntilTheCallerHasSeenEnough) {
    std::string asked;
    FakeEngine fake(socket_, [&](const std::string& request) {
        asked = request;
        return FakeEngine::events(snapshotEvent(1) + snapshotEvent(2) + snapshotEvent(3));
    });
    protocol::ExpertsQuery query;
    query.conversation = "a letter";
    std::vector<uint64_t> seen;
    const auto watched = Engine(socket_).watchExperts(query, [&](const protocol::ExpertsSnapshot& snapshot) {
        seen.push_back(snapshot.tokens);
        return seen.size() < 2;
    });
    EXPECT_TRUE(watched.ok());
    EXPECT_EQ(seen, (std::vector<uint64_t>{1, 2}));
    EXPECT_TRUE(asked.starts_with("GET /conclave/v1/experts?conversation=a%20letter&stream=true&every=1"))
        << asked;
}

TEST_F(ClientTest, AWatchThatBreaksSaysWhy) {
    const auto all = [](const protocol::ExpertsSnapshot&) { return true; };
    FakeEngine ends(socket_, [&](const std::string&) { return FakeEngine::events(snapshotEvent(1)); });
    EXPECT_EQ(Engine(socket_).watchExperts({}, all).error().code, Code::EngineLost);
    const base::Error gone{Code::BadArgument, {}, "model", {"m is not loaded; loaded are: none"}};
    FakeEngine fails(folder_ + "/f.sock", [&](const std::string&) {
        return FakeEngine::events(snapshotEvent(1) +
                                  protocol::sseFrame(protocol::kErrorEvent, protocol::errorBody(gone)));
    });
    EXPECT_EQ(base::render(Engine(folder_ + "/f.sock").watchExperts({}, all).error()), base::render(gone));
    FakeEngine refuses(folder_ + "/g.sock",
                       [&](const std::string&) { return FakeEngine::json(400, protocol::errorBody(gone)); });
    EXPECT_EQ(Engine(folder_ + "/g.sock").watchExperts({}, all).error().code, Code::BadArgument);
    EXPECT_EQ(Engine(folder_ + "/g.sock").experts({}).error().code, Code::BadArgument);
}

TEST_F(ClientTest, SomethingElseOnTheSocket) {
    FakeEngine fake(socket_, [](const std::string&) { return "220 mail.example.org ESMTP\r\n\r\n"; });
    EXPECT_EQ(Engine(socket_).info().error().code, Code::EngineProtocol);
}

class EnsureTest : public ClientTest {
  protected:
    void SetUp() override {
        ClientTest::SetUp();
        for (const char* name : {"XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME"})
            ::setenv(name, folder_.c_str(), 1);
        options_.serviceSocket = folder_ + "/service.sock";
        options_.program = "/bin/false";
        options_.wait = std::chrono::milliseconds(3000);
        std::filesystem::create_directory(folder_ + "/conclave");
        std::filesystem::permissions(folder_ + "/conclave", std::filesystem::perms::owner_all);
    }
    static FakeEngine::Answer speaking(int protocolNumber, uint64_t requests = 0) {
        protocol::EngineInfo info;
        info.version = "9.9";
        info.protocol = protocolNumber;
        info.requests = requests;
        return [text = protocol::toText(info)](const std::string&) { return FakeEngine::json(200, text); };
    }
    EnsureOptions options_;
};

TEST_F(EnsureTest, FindsInTheRightOrder) {
    FakeEngine user(userSocket(), speaking(protocol::kProtocol));
    FakeEngine service(options_.serviceSocket, speaking(protocol::kProtocol));
    FakeEngine given(socket_, speaking(protocol::kProtocol));
    EXPECT_EQ(findEngine(options_)->socketPath(), userSocket());
    options_.configuredSocket = options_.serviceSocket;
    EXPECT_EQ(findEngine(options_)->socketPath(), options_.serviceSocket);
    options_.socket = socket_;
    EXPECT_EQ(findEngine(options_)->socketPath(), socket_);
}

TEST_F(EnsureTest, TheServiceCountsWithoutAUserEngine) {
    FakeEngine service(options_.serviceSocket, speaking(protocol::kProtocol));
    const auto found = ensureEngine(options_);
    ASSERT_TRUE(found.ok()) << base::render(found.error());
    EXPECT_EQ(found->socketPath(), options_.serviceSocket);
}

TEST_F(EnsureTest, NothingIsStartedAtAGivenSocket) {
    options_.socket = socket_;
    options_.program = "/nowhere";
    const auto engine = ensureEngine(options_);
    ASSERT_FALSE(engine.ok());
    EXPECT_EQ(engine.error().code, Code::EngineNotRunning);
}

TEST_F(EnsureTest, AnEngineThatCannotStartSaysWhy) {
    const std::string script = folder_ + "/conclaved";
    FILE* file = std::fopen(script.c_str(), "w");
    std::fputs("#!/bin/sh\necho starting\necho 'conclaved: no such luck' >&2\nexit 2\n", file);
    std::fclose(file);
    std::filesystem::permissions(script, std::filesystem::perms::owner_all);
    options_.program = script;
    for (int i = 0; i < 2; ++i) {
        const auto engine = ensureEngine(options_);
        ASSERT_FALSE(engine.ok());
        EXPECT_NE(base::render(engine.error()).find("conclaved: no such luck"), std::string::npos)
            << base::render(engine.error());
    }
    options_.program = folder_ + "/missing";
    EXPECT_EQ(ensureEngine(options_).error().code, Code::SystemCallFailed);
}

TEST_F(EnsureTest, AnotherProtocolAtWorkIsLeftAlone) {
    FakeEngine user(userSocket(), speaking(protocol::kProtocol + 1, 3));
    EXPECT_EQ(findEngine(options_).error().code, Code::EngineProtocol);
    const auto engine = ensureEngine(options_);
    ASSERT_FALSE(engine.ok());
    EXPECT_EQ(engine.error().code, Code::EngineProtocol);
    EXPECT_NE(base::render(engine.error()).find("at work"), std::string::npos);
}

}  // namespace
}  // namespace conclave::engine::client
