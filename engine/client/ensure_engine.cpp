#include "engine/client/ensure_engine.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <thread>
#include <unistd.h>

#include "engine/client/connection.h"
#include "engine/client/launch.h"
#include "engine/platform/paths.h"

namespace conclave::engine::client {
namespace {

using base::Code;
using base::Error;

constexpr std::chrono::milliseconds kPause{20};

/// A file lock that is held until the end of the scope.
class StartLock {
  public:
    static base::Result<StartLock> take(const std::string& path) {
        const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (file < 0) return Error{Code::FileWriteFailed, path, {}, {std::strerror(errno)}};
        StartLock lock(file);
        while (::flock(file, LOCK_EX) != 0)
            if (errno != EINTR) return Error{Code::SystemCallFailed, path, "flock", {std::strerror(errno)}};
        return lock;
    }
    ~StartLock() {
        if (file_ >= 0) ::close(file_);
    }
    StartLock(StartLock&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
    StartLock& operator=(StartLock&&) = delete;

  private:
    explicit StartLock(int file) : file_(file) {}
    int file_;
};

enum class Trust { AnyOwner, OwnEngineOnly };

struct Found {
    Engine engine;
    protocol::EngineInfo info;
};

base::Result<uint32_t> peerOf(const std::string& path) {
    CONCLAVE_TRY(const Connection connection, Connection::open(path));
    return connection.peer();
}

/// Who answers at `path`. Somebody else's process on our own socket would read what we write: refused.
base::Result<Found> lookAt(const std::string& path, Trust trust) {
    if (trust == Trust::OwnEngineOnly) {
        CONCLAVE_TRY(const uint32_t peer, peerOf(path));
        if (peer != ::getuid())
            return Error{Code::SocketUnsafe,
                         path,
                         {},
                         {"the process that listens there belongs to user " + std::to_string(peer)}};
    }
    Engine engine(path);
    CONCLAVE_TRY(protocol::EngineInfo info, engine.info());
    return Found{std::move(engine), std::move(info)};
}

base::Result<Found> look(const EnsureOptions& options) {
    if (!options.socket.empty()) return lookAt(options.socket, Trust::AnyOwner);
    if (!options.configuredSocket.empty()) return lookAt(options.configuredSocket, Trust::AnyOwner);
    auto own = lookAt(userSocket(), Trust::OwnEngineOnly);
    if (own.ok() || own.error().code != Code::EngineNotRunning) return own;
    auto service = lookAt(options.serviceSocket, Trust::AnyOwner);
    return service.ok() || service.error().code != Code::EngineNotRunning ? std::move(service)
                                                                          : std::move(own);
}

Error otherProtocol(const Found& found, const std::string& advice) {
    return {Code::EngineProtocol,
            found.engine.socketPath(),
            {},
            {"it is version " + found.info.version + " with protocol " + std::to_string(found.info.protocol) +
             " and this program speaks protocol " + std::to_string(protocol::kProtocol) + "; " + advice}};
}

void say(const EnsureOptions& options, const std::string& line) {
    if (options.say) options.say(line);
}

base::Result<Engine> waitUntilItAnswers(const EnsureOptions& options, const Launched& launched) {
    const auto deadline = std::chrono::steady_clock::now() + options.wait;
    for (;;) {
        auto found = look(options);
        if (found.ok()) return std::move(found->engine);
        if (found.error().code != Code::EngineNotRunning) return found.error();
        if (const std::optional<std::string> words = lastWords(launched))
            return Error{Code::SystemCallFailed, {}, "starting the engine", {*words}};
        if (std::chrono::steady_clock::now() > deadline)
            return Error{Code::SystemCallFailed,
                         {},
                         "starting the engine",
                         {"it does not answer after " + std::to_string(options.wait.count() / 1000) +
                          " seconds; its log is " + launched.log}};
        std::this_thread::sleep_for(kPause);
    }
}

base::Result<Engine> start(const EnsureOptions& options) {
    const platform::UserPaths paths = platform::userPaths();
    CONCLAVE_TRY_VOID(platform::makePrivateFolder(paths.runtime));
    CONCLAVE_TRY_VOID(platform::makeFolders(paths.state));
    CONCLAVE_TRY(const StartLock lock, StartLock::take(paths.runtime + "/engine.start.lock"));
    auto found = look(options);  // somebody else may have started one while we waited for the lock
    if (found.ok() && found->info.protocol == protocol::kProtocol) return std::move(found->engine);
    if (found.ok()) {
        if (found->info.requests > 0)
            return otherProtocol(*found,
                                 "it is at work; wait until it is idle, or stop it with conclave stop");
        say(options, "asking the engine of another version to leave");
        CONCLAVE_TRY_VOID(found->engine.stop());
    } else if (found.error().code != Code::EngineNotRunning) {
        return found.error();
    }
    say(options, "starting the engine");
    const std::string program =
        options.program.empty() ? platform::executableFolder() + "/conclaved" : options.program;
    CONCLAVE_TRY(const Launched launched, launchDetached(program, paths.state + "/engine.log"));
    return waitUntilItAnswers(options, launched);
}

}  // namespace

std::string userSocket() {
    return platform::userPaths().runtime + "/engine.sock";
}

base::Result<Engine> findEngine(const EnsureOptions& options) {
    CONCLAVE_TRY(Found found, look(options));
    if (found.info.protocol != protocol::kProtocol)
        return otherProtocol(found, "stop it with conclave stop, or update both");
    return std::move(found.engine);
}

base::Result<Engine> ensureEngine(const EnsureOptions& options) {
    auto found = look(options);
    if (found.ok() && found->info.protocol == protocol::kProtocol) return std::move(found->engine);
    if (!found.ok() && found.error().code != Code::EngineNotRunning) return found.error();
    // An engine at --socket is somebody's own doing: it is neither started nor replaced.
    if (!options.socket.empty())
        return found.ok() ? otherProtocol(*found, "stop it with conclave stop, or update both")
                          : found.error();
    return start(options);
}

}  // namespace conclave::engine::client
