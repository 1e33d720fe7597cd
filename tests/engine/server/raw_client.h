#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace conclave::engine::testing {

struct RawResponse {
    int status = 0;
    std::map<std::string, std::string> headers;  ///< lower-case names
    std::string body;                            ///< chunks put together
};

/// A socket and nothing else: says what a test tells it, also what no decent client would.
class RawClient {
  public:
    explicit RawClient(const std::string& path);
    ~RawClient();
    RawClient(const RawClient&) = delete;
    RawClient& operator=(const RawClient&) = delete;

    bool connected() const { return descriptor_ >= 0; }
    /// False where the other end has gone.
    bool send(std::string_view bytes);
    /// "POST path" with a JSON body; further header lines end with CRLF.
    bool post(const std::string& path, const std::string& body, const std::string& headers = "");
    bool get(const std::string& path) { return send("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n"); }

    /// One whole response; empty after ten seconds or at the end of the connection. `headOnly` for HEAD.
    std::optional<RawResponse> response(bool headOnly = false);
    /// Everything up to the end of the connection.
    std::string rest();
    /// Reads until the text holds `mark`, and gives the text so far.
    std::string until(std::string_view mark);
    /// True when the other end has closed, within `limit`.
    bool closedWithin(std::chrono::milliseconds limit);
    void finishSending();
    void close();

  private:
    bool fill(std::chrono::milliseconds limit);

    int descriptor_ = -1;
    std::string held_;
};

}  // namespace conclave::engine::testing
