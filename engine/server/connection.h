#pragma once

#include <utility>  // first: Boost 1.74's awaitable.hpp uses std::exchange without it

#include <boost/asio/awaitable.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <functional>
#include <memory>
#include <string>

#include "engine/server/routes.h"

namespace conclave::engine::server {

/// A request that cannot be read: what to say, and with which status.
struct Refusal {
    base::Error error;
    int status = 400;
};

/// One client: reads a request, lets it be answered, writes the answer, and so on. While it answers it
/// watches whether the client is still there. Everything runs on the socket's strand.
class Connection : public std::enable_shared_from_this<Connection> {
  public:
    using Socket = boost::asio::local::stream_protocol::socket;

    Connection(Socket socket, Context& context, base::OwnerId owner, std::function<void()> onEnd);
    ~Connection();

    void start();
    /// The engine is leaving: an answer under way is ended with that error, then the connection. From any
    /// thread.
    void shutDown();
    /// Ends it without another word. From any thread.
    void drop();

  private:
    boost::asio::awaitable<void> serve();
    boost::asio::awaitable<bool> serveOne();
    boost::asio::awaitable<bool> awaitFirstByte();
    boost::asio::awaitable<bool> refuse(ResponseForm form, Refusal refusal);
    boost::asio::awaitable<bool> answer(Request request, ResponseForm form);
    boost::asio::awaitable<bool> send(std::shared_ptr<Exchange> exchange);
    boost::asio::awaitable<bool> write(std::string bytes);
    void watchForLeaving();
    void arm(std::chrono::milliseconds limit);
    void disarm();
    void close();

    Socket socket_;
    Context& context_;
    base::OwnerId owner_;
    std::function<void()> onEnd_;
    boost::beast::flat_buffer buffer_;
    boost::asio::steady_timer deadline_;
    uint64_t deadlineTurn_ = 0;
    bool timedOut_ = false, leaving_ = false, closed_ = false;
    std::shared_ptr<Exchange> exchange_;
};

}  // namespace conclave::engine::server
