#pragma once

#include <utility>  // first: Boost 1.74's awaitable.hpp uses std::exchange without it

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/server/http_text.h"

namespace conclave::engine::server {

/// One request's answer on its way to the connection: handlers put it in from any thread, the connection
/// takes bytes out. Everything it holds is touched on the connection's strand alone. It is answered exactly
/// once: what comes after the end is dropped.
class Exchange : public std::enable_shared_from_this<Exchange> {
  public:
    /// `alive` counts the exchanges there are: the strand must outlive them all.
    Exchange(const boost::asio::any_io_executor& strand, ResponseForm form, size_t queueLimit,
             std::atomic<uint64_t>& alive);

    // --- for handlers, through Reply; any thread ---
    /// Runs `work` on the strand, in the order of the calls.
    void post(std::function<void()> work);

    // --- on the strand ---
    void whole(int status, const std::string& body, std::string_view contentType = kJson);
    /// `errorEvent` names the event that fail() sends once the stream has begun.
    void beginEvents(std::string errorEvent);
    void event(std::string_view name, std::string_view data);
    void end();
    /// The failure as a whole answer, or as the last event of a stream. status 0 = that of the code.
    void fail(const base::Error& error, int status = 0);
    /// `hook` is called when the client has gone, or now where it has already.
    void whenGone(std::function<void()> hook);

    // --- for the connection, on the strand ---
    std::string take();
    bool finished() const { return finished_; }
    /// Of what was sent; 0 before.
    int status() const { return status_; }
    bool cut() const { return cut_; }
    /// Whether the connection has taken all there was: what comes often may be left out for a slow reader.
    bool drained() const { return queue_.empty(); }
    const ResponseForm& form() const { return form_; }
    /// Until there is something to take, or the end.
    boost::asio::awaitable<void> wait();
    /// The client has gone: nobody will read what comes.
    void leave();
    /// The engine is leaving: ends the answer with that error.
    void shutDown();
    /// Called when the reader is so slow that its queue overflows.
    std::function<void()> onCut;

  private:
    void append(std::string_view bytes);
    void finish();

    struct Counted {
        explicit Counted(std::atomic<uint64_t>& to) : count(to) { ++count; }
        ~Counted() { --count; }
        Counted(const Counted&) = delete;
        Counted& operator=(const Counted&) = delete;
        std::atomic<uint64_t>& count;
    };

    Counted counted_;  ///< first, so that it is the last to go
    boost::asio::any_io_executor strand_;
    boost::asio::steady_timer wake_;
    ResponseForm form_;
    size_t queueLimit_;
    std::string queue_;
    std::string errorEvent_;
    std::vector<std::function<void()>> goneHooks_;
    int status_ = 0;
    bool streaming_ = false, finished_ = false, gone_ = false, cut_ = false;
};

/// A handler's handle to the answer; thread-safe and cheap to copy. When the last copy goes without an
/// answer, the client is told so instead of waiting for ever.
class Reply {
  public:
    explicit Reply(std::shared_ptr<Exchange> exchange);

    void whole(int status, std::string body) const;
    void ok(std::string body) const { whole(200, std::move(body)); }
    void fail(base::Error error) const;
    void beginEvents(std::string errorEvent) const;
    void event(std::string name, std::string data) const;
    void end() const;
    void whenGone(std::function<void()> hook) const;
    /// Runs `work` on the connection's strand, after what was sent before; there it may use the exchange
    /// itself.
    void onStrand(std::function<void(Exchange&)> work) const;

  private:
    struct Guard;
    std::shared_ptr<Guard> guard_;
};

}  // namespace conclave::engine::server
