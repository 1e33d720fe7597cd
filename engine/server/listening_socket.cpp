#include "engine/server/listening_socket.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

#include "engine/platform/file.h"
#include "engine/platform/paths.h"

namespace conclave::engine::server {
namespace {

using base::Code;
using base::Error;

constexpr int kBacklog = 128;

Error systemError(const std::string& path, const std::string& what) {
    return {Code::SystemCallFailed, path, what, {std::strerror(errno)}};
}

base::Result<sockaddr_un> addressOf(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        return Error{Code::PathTooLong,
                     path,
                     {},
                     {std::to_string(path.size()) + " bytes, at most " +
                      std::to_string(sizeof address.sun_path - 1) + " fit"}};
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return address;
}

/// Whether something accepts connections there.
bool answers(const sockaddr_un& address) {
    const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0) return false;
    const bool connected =
        ::connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 || errno == EAGAIN;
    ::close(probe);
    return connected;
}

/// A folder that is there already: nobody else may be able to replace what lies in it.
base::Result<void> checkFolder(const std::string& folder) {
    struct stat status {};
    if (::stat(folder.c_str(), &status) != 0) return systemError(folder, "looking at the folder");
    if (!S_ISDIR(status.st_mode)) return Error{Code::SocketUnsafe, folder, {}, {"it is not a folder"}};
    const bool trusted = status.st_uid == ::getuid() || status.st_uid == 0;
    const bool writable = (status.st_mode & 0022) != 0 && (status.st_mode & S_ISVTX) == 0;
    if (!trusted || writable)
        return Error{Code::SocketUnsafe, folder, {}, {"other users could replace the socket in this folder"}};
    return {};
}

base::Result<void> prepareFolder(const std::string& path) {
    const size_t slash = path.rfind('/');
    if (slash == std::string::npos)
        return Error{Code::BadArgument, {}, "--socket", {path + " is not an absolute path"}};
    const std::string folder = path.substr(0, std::max<size_t>(slash, 1));
    if (folder == platform::userPaths().runtime || platform::pathKind(folder) == platform::PathKind::Missing)
        return platform::makePrivateFolder(folder);
    return checkFolder(folder);
}

}  // namespace

base::Result<ListeningSocket> ListeningSocket::claim(const std::string& path) {
    CONCLAVE_TRY_VOID(addressOf(path));  // before anything is made
    CONCLAVE_TRY_VOID(prepareFolder(path));
    ListeningSocket socket(path);
    CONCLAVE_TRY_VOID(socket.lock());
    CONCLAVE_TRY_VOID(socket.removeStale());
    CONCLAVE_TRY_VOID(socket.listen());
    return socket;
}

ListeningSocket::ListeningSocket(ListeningSocket&& other) noexcept
    : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)),
      listener_(std::exchange(other.listener_, -1)), inode_(std::exchange(other.inode_, 0)) {}

ListeningSocket::~ListeningSocket() {
    struct stat status {};
    // Only our own: somebody may have removed it and put another there.
    if (inode_ != 0 && ::lstat(path_.c_str(), &status) == 0 && status.st_ino == inode_)
        ::unlink(path_.c_str());
    if (listener_ >= 0) ::close(listener_);
    if (lock_ >= 0) ::close(lock_);  // after the socket is gone
}

int ListeningSocket::release() {
    return std::exchange(listener_, -1);
}

base::Result<void> ListeningSocket::lock() {
    const std::string file = path_ + ".lock";
    lock_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock_ < 0) return systemError(file, "opening the lock");
    while (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) return Error{Code::SocketTaken, path_, {}, {}};
        if (errno != EINTR) return systemError(file, "locking");
    }
    return {};
}

base::Result<void> ListeningSocket::removeStale() const {
    struct stat status {};
    if (::lstat(path_.c_str(), &status) != 0)
        return errno == ENOENT ? base::Result<void>() : systemError(path_, "looking at the socket");
    if (!S_ISSOCK(status.st_mode))
        return Error{Code::SocketUnsafe, path_, {}, {"there is something that is no socket"}};
    CONCLAVE_TRY(const sockaddr_un address, addressOf(path_));
    if (answers(address)) return Error{Code::SocketTaken, path_, {}, {}};
    if (::unlink(path_.c_str()) != 0) return systemError(path_, "removing the socket of a dead engine");
    return {};
}

base::Result<void> ListeningSocket::listen() {
    CONCLAVE_TRY(const sockaddr_un address, addressOf(path_));
    listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener_ < 0) return systemError(path_, "socket");
    // Before bind: the file in the folder takes the mode of the descriptor, so there is no moment when others
    // may enter.
    if (::fchmod(listener_, 0600) != 0) return systemError(path_, "fchmod");
    if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return systemError(path_, "bind");
    struct stat status {};
    if (::lstat(path_.c_str(), &status) != 0) return systemError(path_, "looking at the socket");
    inode_ = status.st_ino;
    if ((status.st_mode & 0777) != 0600 && ::chmod(path_.c_str(), 0600) != 0)
        return systemError(path_, "chmod");
    if (::listen(listener_, kBacklog) != 0) return systemError(path_, "listen");
    return {};
}

base::Result<uint32_t> peerUid(int descriptor) {
    ucred credentials{};
    socklen_t size = sizeof credentials;
    if (::getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
        return systemError({}, "SO_PEERCRED");
    return static_cast<uint32_t>(credentials.uid);
}

}  // namespace conclave::engine::server
