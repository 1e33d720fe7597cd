#include "tests/engine/client/fake_engine.h"

#include <chrono>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/base/result.h"

namespace conclave::engine::testing {

FakeEngine::FakeEngine(std::string path, Answer answer) : path_(std::move(path)), answer_(std::move(answer)) {
    listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    CONCLAVE_CHECK(path_.size() < sizeof address.sun_path);
    std::memcpy(address.sun_path, path_.c_str(), path_.size() + 1);
    CONCLAVE_CHECK(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    CONCLAVE_CHECK(::listen(listener_, 8) == 0);
    thread_ = std::thread([this] { serve(); });
}

FakeEngine::~FakeEngine() {
    stopping_ = true;
    thread_.join();
    ::close(listener_);
    ::unlink(path_.c_str());
}

std::string FakeEngine::json(int status, const std::string& body) {
    return "HTTP/1.1 " + std::to_string(status) +
           " X\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
           "\r\n\r\n" + body;
}

std::string FakeEngine::events(const std::string& bytes) {
    return "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + bytes;
}

void FakeEngine::serve() {
    while (!stopping_) {
        pollfd waiting{listener_, POLLIN, 0};
        if (::poll(&waiting, 1, 20) <= 0) continue;
        const int peer = ::accept(listener_, nullptr, nullptr);
        std::string request(1 << 16, '\0');
        const ssize_t got = ::recv(peer, request.data(), request.size(), 0);
        request.resize(got > 0 ? static_cast<size_t>(got) : 0);
        const std::string answer = answer_(request);
        [[maybe_unused]] const ssize_t sent = ::send(peer, answer.data(), answer.size(), MSG_NOSIGNAL);
        while (hold && !stopping_)
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        ::close(peer);
    }
}

}  // namespace conclave::engine::testing
