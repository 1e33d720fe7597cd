#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <thread>

/// A few lines of server for the client's tests: answers each connection with what `answer` gives for its
/// request, then closes.
namespace conclave::engine::testing {

class FakeEngine {
  public:
    using Answer = std::function<std::string(const std::string& request)>;
    FakeEngine(std::string path, Answer answer);
    ~FakeEngine();
    FakeEngine(const FakeEngine&) = delete;
    FakeEngine& operator=(const FakeEngine&) = delete;

    /// A whole response with a length.
    static std::string json(int status, const std::string& body);
    /// The head of a stream that ends with the connection, and its first bytes.
    static std::string events(const std::string& bytes);

    /// Keeps connections open after the answer until the end of the test.
    std::atomic<bool> hold{false};

  private:
    void serve();

    std::string path_;
    Answer answer_;
    int listener_ = -1;
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

}  // namespace conclave::engine::testing
