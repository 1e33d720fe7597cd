#pragma once

#include <gtest/gtest.h>
#include <string>

#include "engine/client/client.h"
#include "tests/e2e/conclaved_process.h"

namespace conclave::tests {

/// One real engine with the starter model for all tests of a file.
class StarterEngine : public testing::Test {
  protected:
    static void SetUpTestSuite() {
        process_ =
            new ConclavedProcess({"--model", std::string(CONCLAVE_SOURCE_DIR) + "/resources/models/starter"});
        ASSERT_TRUE(process_->ready()) << process_->error();
    }
    static void TearDownTestSuite() {
        delete process_;
        process_ = nullptr;
    }

    static engine::client::Engine engine() { return engine::client::Engine(process_->socket()); }
    static engine::client::Response send(const std::string& method, const std::string& path,
                                         const std::string& body = "") {
        auto response = engine().request(method, path, body);
        EXPECT_TRUE(response.ok()) << engine::base::render(response.error());
        return response.ok() ? *response : engine::client::Response{};
    }

    inline static ConclavedProcess* process_ = nullptr;
};

}  // namespace conclave::tests
