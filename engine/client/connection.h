#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "engine/client/cancellation.h"

namespace conclave::engine::client {

/// One open connection to a Unix socket; bytes in and out. Move-only; used by one thread at a time.
class Connection {
  public:
    /// Errors: EngineNotRunning when nobody listens at `path`, PathTooLong, SystemCallFailed.
    static base::Result<Connection> open(const std::string& path);
    ~Connection();
    Connection(Connection&& other) noexcept;
    Connection& operator=(Connection&& other) noexcept;

    /// Who listens: the uid that the kernel tells.
    base::Result<uint32_t> peer() const;

    /// Writes all of `bytes`. Errors: EngineLost, Cancelled.
    base::Result<void> write(std::string_view bytes, const Cancellation* cancel);
    /// Waits for bytes and gives what is there; empty at the end. Errors: EngineLost, Cancelled.
    base::Result<std::string_view> read(const Cancellation* cancel);

  private:
    explicit Connection(int descriptor, std::string path);
    base::Result<void> wait(short events, const Cancellation* cancel) const;
    base::Error lost(std::string why) const;

    int descriptor_ = -1;
    std::string path_;
    std::string buffer_;
};

}  // namespace conclave::engine::client
