#pragma once

#include <cstdint>
#include <string>

#include "engine/base/result.h"

namespace conclave::engine::server {

/// A Unix socket that listens at a path, 0600 from its first moment, with a lock beside it that lives as long
/// as we do: so a socket without a lock is left over from a dead engine, and is replaced. Move-only; removes
/// the socket at the end.
class ListeningSocket {
  public:
    /// The folder is made (0700) where it is missing, and must then belong to us and be closed to others, or
    /// be one where nobody else can replace our files. Errors: PathTooLong, SocketUnsafe, SocketTaken by a
    /// live engine, SystemCallFailed.
    static base::Result<ListeningSocket> claim(const std::string& path);
    ~ListeningSocket();
    ListeningSocket(ListeningSocket&& other) noexcept;
    ListeningSocket& operator=(ListeningSocket&&) = delete;

    /// The descriptor, which the caller owns from here on. Once.
    int release();
    const std::string& path() const { return path_; }

  private:
    explicit ListeningSocket(std::string path) : path_(std::move(path)) {}
    base::Result<void> lock();
    base::Result<void> removeStale() const;
    base::Result<void> listen();

    std::string path_;
    int lock_ = -1, listener_ = -1;
    uint64_t inode_ = 0;  ///< of the socket that we made; 0 = none
};

/// The uid of the process at the other end, as the kernel tells it.
base::Result<uint32_t> peerUid(int descriptor);

}  // namespace conclave::engine::server
