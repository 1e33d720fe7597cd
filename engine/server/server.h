#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "engine/base/ids.h"
#include "engine/base/result.h"
#include "engine/library/library.h"
#include "engine/scheduler/scheduler.h"
#include "engine/server/limits.h"

namespace conclave::engine::server {

/// What the engine is, for those who ask.
struct Facts {
    std::string version;
    std::string socketPath;  ///< absolute
    std::string kernels, activations, kv;
    std::string defaultModel;  ///< models.chat; may be empty
    int64_t startedUnix = 0;
    base::OwnerId owner{};  ///< who may load, unload and stop: the user who runs the engine
    Limits limits;
};

struct ServerOptions {
    Facts facts;
    uint64_t adapterBytes = 0;   ///< library::AdapterBudget
    bool stopOnSignals = false;  ///< SIGINT and SIGTERM end it; a second one ends the process at once
    /// Whose connection it is; empty = what the kernel says (SO_PEERCRED). Tests put other users here.
    std::function<base::Result<base::OwnerId>(int descriptor)> peerOwner;
};

/// The engine's door: HTTP/1.1 on a Unix socket, and nothing else. Requests are read and written on one
/// thread; templates, tokens and JSON are worked on by others; models load on others again. All functions are
/// thread-safe.
class Server {
  public:
    /// Claims the socket and answers from then on. `library` and `scheduler` must outlive it. Errors:
    /// SocketTaken, SocketUnsafe, PathTooLong, SystemCallFailed.
    static base::Result<std::unique_ptr<Server>> start(ServerOptions options, library::Library& library,
                                                       scheduler::Scheduler& scheduler);
    /// Stops and waits, also for models that are still loading.
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    /// Takes no more requests, ends running answers with the error ShuttingDown, and lets wait() return. At
    /// once.
    void stop();
    /// Returns when it has stopped and the socket is gone.
    void wait();
    /// Whether a model is being loaded for a request.
    bool loading() const;
    /// Open connections.
    size_t connections() const;
    /// How many bytes adapters may take together; fixed by the first call.
    uint64_t adapterBytes() const;

  private:
    struct State;
    explicit Server(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace conclave::engine::server
