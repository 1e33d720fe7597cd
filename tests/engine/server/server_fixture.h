#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <thread>
#include <unistd.h>

#include "engine/client/client.h"
#include "engine/library/library.h"
#include "engine/protocol/json.h"
#include "engine/scheduler/scheduler.h"
#include "engine/server/server.h"
#include "tests/engine/scheduler/marker_model.h"
#include "tests/engine/server/raw_client.h"

namespace conclave::engine::testing {

/// A server over a real socket in a folder of its own, with marker models instead of weights.
class ServerTest : public ::testing::Test {
  protected:
    void SetUp() override {
        std::string name = ::testing::TempDir() + "server-XXXXXX";
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        folder_ = name;
        socket_ = folder_ + "/e.sock";
        options_.facts.socketPath = socket_;
        options_.facts.version = "test";
        options_.facts.owner = base::OwnerId{::getuid()};
        library_ = std::make_unique<library::Library>(library::Library::Options{});
    }
    void TearDown() override {
        server_.reset();
        scheduler_.reset();
        std::filesystem::remove_all(folder_);
    }

    /// Starts it; what a test wants otherwise is set before.
    void start() {
        scheduler::SchedulerOptions options;
        options.threads = 1;
        options.kvBytes = uint64_t{64} << 20;
        auto scheduler = scheduler::Scheduler::start(options);
        ASSERT_TRUE(scheduler.ok()) << base::render(scheduler.error());
        scheduler_ = std::move(scheduler).value();
        auto server = server::Server::start(options_, *library_, *scheduler_);
        ASSERT_TRUE(server.ok()) << base::render(server.error());
        server_ = std::move(server).value();
    }
    void startWithModel(MarkerOptions marker = {}) {
        library_->publish(makeMarkerModel("marker", std::move(marker)));
        start();
    }

    client::Engine engine() const { return client::Engine(socket_); }
    client::Response post(const std::string& path, const std::string& body) const {
        const auto response = engine().request("POST", path, body);
        EXPECT_TRUE(response.ok()) << path;
        return response.ok() ? *response : client::Response{};
    }
    client::Response call(const std::string& method, const std::string& path) const {
        const auto response = engine().request(method, path);
        EXPECT_TRUE(response.ok()) << path;
        return response.ok() ? *response : client::Response{};
    }
    static protocol::Json json(const std::string& text) {
        const auto parsed = protocol::parseJson(text);
        EXPECT_TRUE(parsed.ok()) << text;
        return parsed.ok() ? *parsed : protocol::Json();
    }
    static std::string codeOf(const client::Response& response) {
        const protocol::Json body = json(response.body);
        return body.contains("error") ? body["error"]["code"].get<std::string>() : std::string();
    }
    static bool soon(const std::function<bool()>& condition,
                     std::chrono::milliseconds limit = std::chrono::seconds(5)) {
        const auto deadline = std::chrono::steady_clock::now() + limit;
        while (std::chrono::steady_clock::now() < deadline) {
            if (condition()) return true;
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
        return condition();
    }
    bool idle() const {
        return scheduler_->sequences(base::OwnerId{::getuid()}).empty() &&
               scheduler_->sequences(base::OwnerId{4242}).empty();
    }

    std::string folder_, socket_;
    server::ServerOptions options_;
    std::unique_ptr<library::Library> library_;
    std::unique_ptr<scheduler::Scheduler> scheduler_;
    std::unique_ptr<server::Server> server_;
};

inline MarkerOptions withContext(uint32_t context) {
    MarkerOptions options;
    options.context = context;
    return options;
}

/// A token takes two milliseconds, so that a test can act in mid-answer.
inline MarkerOptions slow() {
    MarkerOptions options;
    options.stepDelay = std::chrono::microseconds(2000);
    return options;
}

/// {"messages": one of the user's}, with further fields.
inline std::string chatBody(const std::string& content, const std::string& fields = "") {
    return R"({"messages":[{"role":"user","content":")" + content + "\"}]" +
           (fields.empty() ? "" : "," + fields) + "}";
}

}  // namespace conclave::engine::testing
