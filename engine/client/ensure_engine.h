#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "engine/base/result.h"
#include "engine/client/client.h"

namespace conclave::engine::client {

/// Where to look for an engine, in this order: `socket` alone when it is given, else `configuredSocket` alone
/// when it is given, else the user's own socket, else the service's.
struct EnsureOptions {
    std::string socket;            ///< --socket; empty = not given. Nothing is started there.
    std::string configuredSocket;  ///< key `socket` of config.toml; empty = not set
    std::string serviceSocket = "/run/conclave/engine.sock";
    std::string program;                     ///< conclaved; empty = beside our own executable
    std::chrono::milliseconds wait{30'000};  ///< for an engine that was started to answer
    /// One line for a person when something takes a while ("starting the engine"); may be empty.
    std::function<void(const std::string& line)> say;
};

/// The user's own socket: engine.sock in the runtime folder.
std::string userSocket();

/// An engine that runs and speaks our protocol. Errors: EngineNotRunning, EngineProtocol for one of another
/// protocol.
base::Result<Engine> findEngine(const EnsureOptions& options);

/// The same, and where there is none: starts conclaved without flags, detached, with its log in the state
/// folder, under a lock that makes two callers start one; an idle engine of another protocol is asked to
/// leave first. Errors: as findEngine, and what the engine said when it could not start.
base::Result<Engine> ensureEngine(const EnsureOptions& options);

}  // namespace conclave::engine::client
