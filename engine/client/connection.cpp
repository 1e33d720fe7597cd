#include "engine/client/connection.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

namespace conclave::engine::client {
namespace {

using base::Code;
using base::Error;

constexpr size_t kReadBytes = 64 * 1024;
constexpr timeval kConnectTimeout{10, 0};  ///< only reached when the engine does not accept

}  // namespace

Connection::Connection(int descriptor, std::string path)
    : descriptor_(descriptor), path_(std::move(path)), buffer_(kReadBytes, '\0') {}

Connection::Connection(Connection&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), path_(std::move(other.path_)),
      buffer_(std::move(other.buffer_)) {}

Connection& Connection::operator=(Connection&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    std::swap(path_, other.path_);
    std::swap(buffer_, other.buffer_);
    return *this;
}

Connection::~Connection() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

base::Result<Connection> Connection::open(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        return Error{Code::PathTooLong,
                     path,
                     {},
                     {std::to_string(path.size()) + " bytes, at most " +
                      std::to_string(sizeof address.sun_path - 1) + " fit"}};
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return Error{Code::SystemCallFailed, path, "socket", {std::strerror(errno)}};
    Connection connection(descriptor, path);
    ::setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &kConnectTimeout, sizeof kConnectTimeout);
    int result = 0;
    do
        result = ::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    while (result != 0 && errno == EINTR);
    if (result != 0 && (errno == ENOENT || errno == ENOTDIR || errno == ECONNREFUSED))
        return Error{Code::EngineNotRunning, path, {}, {}};
    if (result != 0) return Error{Code::SystemCallFailed, path, "connecting", {std::strerror(errno)}};
    const int flags = ::fcntl(descriptor, F_GETFL);
    if (flags < 0 || ::fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) != 0)
        return Error{Code::SystemCallFailed, path, "fcntl", {std::strerror(errno)}};
    return connection;
}

base::Result<uint32_t> Connection::peer() const {
    ucred credentials{};
    socklen_t size = sizeof credentials;
    if (::getsockopt(descriptor_, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
        return Error{Code::SystemCallFailed, path_, "SO_PEERCRED", {std::strerror(errno)}};
    return static_cast<uint32_t>(credentials.uid);
}

Error Connection::lost(std::string why) const {
    return {Code::EngineLost, path_, {}, {std::move(why)}};
}

base::Result<void> Connection::wait(short events, const Cancellation* cancel) const {
    pollfd descriptors[2] = {{descriptor_, events, 0},
                             {cancel != nullptr ? cancel->descriptor() : -1, POLLIN, 0}};
    for (;;) {
        const int ready = ::poll(descriptors, 2, -1);
        if (cancel != nullptr && cancel->cancelled()) return Error{Code::Cancelled, {}, {}, {}};
        if (ready > 0 && descriptors[0].revents != 0) return {};
        if (ready < 0 && errno != EINTR) return lost(std::strerror(errno));
    }
}

base::Result<void> Connection::write(std::string_view bytes, const Cancellation* cancel) {
    while (!bytes.empty()) {
        CONCLAVE_TRY_VOID(wait(POLLOUT, cancel));
        const ssize_t sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent >= 0)
            bytes.remove_prefix(static_cast<size_t>(sent));
        else if (errno != EAGAIN && errno != EINTR)
            return lost(std::strerror(errno));
    }
    return {};
}

base::Result<std::string_view> Connection::read(const Cancellation* cancel) {
    for (;;) {
        CONCLAVE_TRY_VOID(wait(POLLIN, cancel));
        const ssize_t got = ::recv(descriptor_, buffer_.data(), buffer_.size(), 0);
        if (got >= 0) return std::string_view(buffer_.data(), static_cast<size_t>(got));
        if (errno != EAGAIN && errno != EINTR) return lost(std::strerror(errno));
    }
}

}  // namespace conclave::engine::client
