#include "engine/server/server.h"

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <spdlog/spdlog.h>
#include <thread>
#include <unordered_map>

#include "engine/protocol/errors.h"
#include "engine/server/connection.h"
#include "engine/server/listening_socket.h"
#include "engine/server/routes.h"

namespace conclave::engine::server {

namespace asio = boost::asio;
using base::Code;
using base::Error;
using boost::system::error_code;
using Stream = asio::local::stream_protocol;

namespace {

constexpr std::chrono::milliseconds kAcceptPause{100};  ///< after running out of descriptors
constexpr std::chrono::milliseconds kDrain{2000};       ///< for last words at the end
constexpr std::chrono::milliseconds kPollPause{1};

}  // namespace

/// Everything here but `context` and the flags is touched on the one thread of `io`.
struct Server::State {
    State(ServerOptions given, ListeningSocket claimed, library::Library& library,
          scheduler::Scheduler& scheduler)
        : options(std::move(given)), context(options.facts, library, scheduler, options.adapterBytes),
          socket(std::move(claimed)), acceptor(io), pause(io), drain(io), signals(io) {}

    void accept();
    void welcome(Stream::socket peer);
    void beginStop();
    void endIfIdle();
    void watchSignals();

    ServerOptions options;
    asio::io_context io{1};
    Context context;
    std::optional<ListeningSocket> socket;
    Stream::acceptor acceptor;
    asio::steady_timer pause, drain;
    asio::signal_set signals;
    std::unordered_map<uint64_t, std::weak_ptr<Connection>> connections;
    uint64_t nextConnection = 0;
    bool stopping = false;
    std::thread thread;

    std::mutex mutex;
    std::condition_variable stoppedSignal;
    bool stopped = false;
};

void Server::State::accept() {
    acceptor.async_accept(asio::make_strand(io), [this](const error_code& error, Stream::socket peer) {
        if (stopping || error == asio::error::operation_aborted) return;
        if (!error) {
            welcome(std::move(peer));
            return accept();
        }
        spdlog::warn("accepting a connection failed: {}",
                     error.message());  // no descriptors left, most likely
        pause.expires_after(kAcceptPause);
        pause.async_wait([this](const error_code& cancelled) {
            if (!cancelled) accept();
        });
    });
}

void Server::State::welcome(Stream::socket peer) {
    base::Result<base::OwnerId> owner = Error{};
    if (options.peerOwner) {
        owner = options.peerOwner(peer.native_handle());
    } else {
        const auto uid = peerUid(peer.native_handle());
        owner = uid.ok() ? base::Result<base::OwnerId>(base::OwnerId{*uid}) : uid.error();
    }
    std::optional<Error> refusal;
    if (!owner.ok()) refusal = owner.error();
    if (context.open >= options.facts.limits.connections)
        refusal = Error{Code::ServerBusy, {}, {}, {"there are too many connections"}};
    ++context.traffic.connections;
    if (refusal) {
        ++context.traffic.refusedConnections;
        const std::string body = protocol::errorBody(*refusal);
        const std::string bytes =
            wholeHead({.version = 11, .keepAlive = false, .headOnly = false, .allow = {}},
                      protocol::httpStatus(refusal->code), body.size()) +
            body;
        error_code ignored;  // it fits into an empty socket, or the client has gone
        peer.non_blocking(true, ignored);
        peer.write_some(asio::buffer(bytes), ignored);
        return;
    }
    const uint64_t number = nextConnection++;
    ++context.open;
    const auto connection = std::make_shared<Connection>(std::move(peer), context, *owner, [this, number] {
        --context.open;
        connections.erase(number);
        if (stopping) endIfIdle();
    });
    connections[number] = connection;
    connection->start();
}

/// From here on nothing is accepted; connections say their last words, and are dropped if they cannot.
void Server::State::beginStop() {
    if (stopping) return;
    stopping = true;
    spdlog::info("shutting down");
    error_code ignored;
    acceptor.close(ignored);
    socket.reset();
    pause.cancel();
    signals.cancel(ignored);
    const auto all = connections;
    for (const auto& [number, weak] : all)
        if (const auto connection = weak.lock()) connection->shutDown();
    drain.expires_after(kDrain);
    drain.async_wait([this](const error_code& cancelled) {
        if (cancelled) return;
        const auto left = connections;
        for (const auto& [number, weak] : left)
            if (const auto connection = weak.lock()) connection->drop();
    });
    endIfIdle();
}

void Server::State::endIfIdle() {
    if (!connections.empty()) return;
    drain.cancel();
    const std::scoped_lock lock(mutex);
    stopped = true;
    stoppedSignal.notify_all();
}

void Server::State::watchSignals() {
    signals.add(SIGINT);
    signals.add(SIGTERM);
    signals.async_wait([this](const error_code& error, int) {
        if (error) return;
        signals.clear();  // a second one has its usual effect
        beginStop();
    });
}

base::Result<std::unique_ptr<Server>> Server::start(ServerOptions options, library::Library& library,
                                                    scheduler::Scheduler& scheduler) {
    CONCLAVE_TRY(ListeningSocket claimed, ListeningSocket::claim(options.facts.socketPath));
    const int descriptor = claimed.release();
    auto state = std::make_unique<State>(std::move(options), std::move(claimed), library, scheduler);
    error_code error;
    state->acceptor.assign(Stream(), descriptor, error);
    if (error)
        return Error{Code::SystemCallFailed, state->options.facts.socketPath, "listening", {error.message()}};
    State* raw = state.get();
    state->context.shutDown = [raw] { asio::post(raw->io, [raw] { raw->beginStop(); }); };
    if (state->options.stopOnSignals) state->watchSignals();
    state->accept();
    state->thread = std::thread([raw] {
        const auto work = asio::make_work_guard(raw->io);
        raw->io.run();
    });
    return std::unique_ptr<Server>(new Server(std::move(state)));
}

Server::Server(std::unique_ptr<State> state) : state_(std::move(state)) {}

Server::~Server() {
    stop();
    wait();
    // Handlers may still work for clients that have gone; they only post to `io`, which takes it and does
    // nothing.
    state_->context.loaders.join();
    state_->context.workers.join();
    // The scheduler may still hold answers of sequences that were cancelled, for a step at most; letting go
    // of one posts to `io`.
    while (state_->context.exchanges > 0)
        std::this_thread::sleep_for(kPollPause);
    state_->io.stop();
    state_->thread.join();
}

void Server::stop() {
    state_->context.shutDown();
}

void Server::wait() {
    std::unique_lock lock(state_->mutex);
    state_->stoppedSignal.wait(lock, [this] { return state_->stopped; });
}

bool Server::loading() const {
    return state_->context.loads > 0;
}
size_t Server::connections() const {
    return state_->context.open;
}
uint64_t Server::adapterBytes() const {
    return state_->context.adapters.stats().budget;
}

}  // namespace conclave::engine::server
