#include "tests/engine/server/raw_client.h"

#include <cstring>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/client/http_response.h"

namespace conclave::engine::testing {

constexpr std::chrono::milliseconds kPatience{10'000};

RawClient::RawClient(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), std::min(path.size() + 1, sizeof address.sun_path));
    descriptor_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::connect(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) close();
}

RawClient::~RawClient() {
    close();
}

void RawClient::close() {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = -1;
}

void RawClient::finishSending() {
    ::shutdown(descriptor_, SHUT_WR);
}

bool RawClient::send(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent <= 0) return false;
        bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
}

bool RawClient::post(const std::string& path, const std::string& body, const std::string& headers) {
    return send("POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + headers +
                "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
}

/// Reads what there is; false at the end, or when nothing came in time.
bool RawClient::fill(std::chrono::milliseconds limit) {
    pollfd waiting{descriptor_, POLLIN, 0};
    if (::poll(&waiting, 1, static_cast<int>(limit.count())) <= 0) return false;
    char bytes[65536];
    const ssize_t got = ::recv(descriptor_, bytes, sizeof bytes, 0);
    if (got <= 0) return false;
    held_.append(bytes, static_cast<size_t>(got));
    return true;
}

std::optional<RawResponse> RawClient::response(bool headOnly) {
    client::HttpResponse reader;
    RawResponse out;
    size_t used = 0;
    for (;;) {
        // byte by byte, so that what belongs to the next response stays
        while (used < held_.size() && !reader.done() && !(headOnly && reader.headDone())) {
            if (!reader.feed(std::string_view(held_).substr(used, 1), out.body).ok()) return std::nullopt;
            ++used;
        }
        if (reader.done() || (headOnly && reader.headDone())) break;
        if (!fill(kPatience) && !reader.finish()) return std::nullopt;
    }
    held_.erase(0, used);
    out.status = reader.status();
    for (const char* name : {"content-type", "content-length", "connection", "allow", "transfer-encoding"})
        if (const std::string value = reader.header(name); !value.empty()) out.headers[name] = value;
    return out;
}

std::string RawClient::rest() {
    while (fill(kPatience)) {
    }
    return std::move(held_);
}

std::string RawClient::until(std::string_view mark) {
    while (held_.find(mark) == std::string::npos)
        if (!fill(kPatience)) break;
    return held_;
}

bool RawClient::closedWithin(std::chrono::milliseconds limit) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    while (std::chrono::steady_clock::now() < deadline) {
        pollfd waiting{descriptor_, POLLIN, 0};
        if (::poll(&waiting, 1, 5) <= 0) continue;
        char bytes[65536];
        if (::recv(descriptor_, bytes, sizeof bytes, 0) <= 0) return true;
    }
    return false;
}

}  // namespace conclave::engine::testing
