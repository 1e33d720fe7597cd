#include "engine/server/connection.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/bind_handler.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <optional>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

namespace conclave::engine::server {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using base::Code;
using base::Error;
using boost::system::error_code;

namespace {

constexpr size_t kBufferBytes = 64 * 1024;  ///< also what a client may send ahead
constexpr size_t kReadBytes = 4096;
constexpr size_t kWritePiece = 64 * 1024;

using Parser = http::request_parser<http::string_body>;

std::string text(boost::beast::string_view view) {
    return std::string(view.data(), view.size());
}

Refusal refusalOf(const error_code& error, bool timedOut, const Limits& limits) {
    if (timedOut) return {{Code::BadHttp, {}, {}, {"it did not arrive in time"}}, 408};
    if (error == http::error::body_limit)
        return {{Code::BodyTooLarge, {}, {}, {std::to_string(limits.bodyBytes >> 20) + " MiB"}}, 413};
    if (error == http::error::header_limit || error == http::error::buffer_overflow)
        return {{Code::BodyTooLarge, {}, {}, {std::to_string(limits.headerBytes >> 10) + " KiB of headers"}},
                431};
    return {{Code::BadHttp, {}, {}, {error.message()}}, 400};
}

/// A request of which not even the head is known.
ResponseForm closingForm() {
    ResponseForm form;
    form.keepAlive = false;
    return form;
}

bool hasHungUp(int descriptor) {
    pollfd state{descriptor, 0, 0};
    return ::poll(&state, 1, 0) == 1 && (state.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

ResponseForm formOf(const Parser& parser) {
    const auto& message = parser.get();
    ResponseForm form;
    form.version = message.version();
    form.keepAlive = message.keep_alive();
    form.headOnly = message.method() == http::verb::head;
    return form;
}

}  // namespace

Connection::Connection(Socket socket, Context& context, base::OwnerId owner, std::function<void()> onEnd)
    : socket_(std::move(socket)), context_(context), owner_(owner), onEnd_(std::move(onEnd)),
      buffer_(kBufferBytes), deadline_(socket_.get_executor()) {}

Connection::~Connection() {
    onEnd_();
}

void Connection::start() {
    watchForLeaving();
    asio::co_spawn(
        socket_.get_executor(), [self = shared_from_this()] { return self->serve(); },
        [self = shared_from_this()](const std::exception_ptr& failure) {
            self->close();
            if (!failure) return;
            try {
                std::rethrow_exception(failure);
            } catch (const std::exception& exception) {
                spdlog::error("a connection failed: {}", exception.what());
            }
        });
}

void Connection::shutDown() {
    asio::post(socket_.get_executor(), [self = shared_from_this()] {
        self->leaving_ = true;
        if (self->exchange_)
            self->exchange_->shutDown();
        else
            self->close();
    });
}

void Connection::drop() {
    asio::post(socket_.get_executor(), [self = shared_from_this()] { self->close(); });
}

void Connection::close() {
    if (closed_) return;
    closed_ = true;
    disarm();
    if (exchange_) exchange_->leave();
    error_code ignored;
    socket_.close(ignored);
}

/// The kernel reports a hang-up when the other end of a Unix socket is closed (or its process is dead),
/// whatever is still unread, but not when it has only finished sending. So nothing needs to be read to notice
/// it.
void Connection::watchForLeaving() {
    socket_.async_wait(Socket::wait_error, [self = shared_from_this()](const error_code& error) {
        if (self->closed_) return;
        // A deadline cancels every wait of the socket; and Asio may wake one for an event of a socket that
        // was closed just before ours took its place in its tables. So the kernel is asked once more.
        if (error || !hasHungUp(self->socket_.native_handle())) return self->watchForLeaving();
        self->close();
    });
}

void Connection::arm(std::chrono::milliseconds limit) {
    deadline_.expires_after(limit);
    deadline_.async_wait([self = shared_from_this(), turn = ++deadlineTurn_](const error_code& error) {
        if (error || turn != self->deadlineTurn_ || self->closed_) return;
        self->timedOut_ = true;
        error_code ignored;
        self->socket_.cancel(ignored);
    });
}

void Connection::disarm() {
    ++deadlineTurn_;
    deadline_.cancel();
}

asio::awaitable<void> Connection::serve() {
    while (!closed_ && !leaving_ && co_await serveOne()) {
    }
    if (closed_) co_return;
    // Tell the client that no more comes, then let go.
    error_code ignored;
    socket_.shutdown(Socket::shutdown_both, ignored);
    close();
}

asio::awaitable<bool> Connection::awaitFirstByte() {
    if (buffer_.size() > 0) co_return true;
    arm(context_.facts.limits.idle);
    error_code error;
    const size_t got = co_await socket_.async_read_some(buffer_.prepare(kReadBytes),
                                                        asio::redirect_error(asio::use_awaitable, error));
    disarm();
    buffer_.commit(got);
    co_return !error;
}

asio::awaitable<bool> Connection::serveOne() {
    if (!co_await awaitFirstByte()) co_return false;
    const Limits& limits = context_.facts.limits;
    Parser parser;
    parser.header_limit(static_cast<std::uint32_t>(limits.headerBytes));
    parser.body_limit(limits.bodyBytes);
    error_code error;
    arm(limits.header);
    co_await http::async_read_header(socket_, buffer_, parser,
                                     asio::redirect_error(asio::use_awaitable, error));
    disarm();
    if (closed_ || error == http::error::end_of_stream) co_return false;
    // Locals, because g++ 12 cannot keep temporaries of such types across a co_await.
    if (error) {
        Refusal refusal = refusalOf(error, timedOut_, limits);
        ResponseForm closing = closingForm();
        co_return co_await refuse(std::move(closing), std::move(refusal));
    }
    ResponseForm form = formOf(parser);
    const std::string expect = text(parser.get()[http::field::expect]);
    if (!expect.empty() && form.version >= 11) {
        if (!boost::beast::iequals(expect, "100-continue")) {
            Refusal refusal{Error{Code::BadHttp, {}, {}, {"it expects " + expect}}, 417};
            co_return co_await refuse(std::move(form), std::move(refusal));
        }
        std::string goOn = "HTTP/1.1 100 Continue\r\n\r\n";
        if (!co_await write(std::move(goOn))) co_return false;
    }
    arm(limits.body);
    co_await http::async_read(socket_, buffer_, parser, asio::redirect_error(asio::use_awaitable, error));
    disarm();
    if (closed_) co_return false;
    if (error) {
        Refusal refusal = refusalOf(error, timedOut_, limits);
        co_return co_await refuse(std::move(form), std::move(refusal));
    }
    auto message = parser.release();
    Request request;
    request.method = text(message.method_string());
    const std::string target = text(message.target());
    request.path = std::string(pathOf(target));
    request.query = std::string(queryOf(target));
    request.contentType = text(message[http::field::content_type]);
    request.body = std::move(message.body());
    request.owner = owner_;
    co_return co_await answer(std::move(request), std::move(form));
}

/// Where the rest of the request cannot be trusted, the connection ends with the answer.
asio::awaitable<bool> Connection::refuse(ResponseForm form, Refusal refusal) {
    form.keepAlive = false;
    auto exchange = std::make_shared<Exchange>(socket_.get_executor(), form,
                                               context_.facts.limits.queuedBytes, context_.exchanges);
    exchange->fail(refusal.error, refusal.status);
    co_await send(exchange);
    context_.traffic.note(refusal.status);
    co_return false;
}

asio::awaitable<bool> Connection::answer(Request request, ResponseForm form) {
    if (leaving_) form.keepAlive = false;
    const std::string allow = allowedMethods(request.path);
    const std::string method = request.method == "HEAD" ? "GET" : request.method;
    if (!allow.empty() && (", " + allow + ",").find(", " + method + ",") == std::string::npos)
        form.allow = allow;
    exchange_ = std::make_shared<Exchange>(socket_.get_executor(), form, context_.facts.limits.queuedBytes,
                                           context_.exchanges);
    exchange_->onCut = [weak = weak_from_this()] {
        if (const auto self = weak.lock()) {
            ++self->context_.traffic.cutReaders;
            spdlog::warn("a client that does not read its stream was cut off");
            self->close();
        }
    };
    ++context_.requests;
    spdlog::debug("{} {}", request.method, request.path);
    dispatch(context_, std::move(request), Reply(exchange_));
    const bool sent = co_await send(exchange_);
    --context_.requests;
    context_.traffic.note(exchange_->status());
    const bool again = sent && exchange_->form().keepAlive && !leaving_;
    exchange_.reset();
    co_return again;
}

asio::awaitable<bool> Connection::send(std::shared_ptr<Exchange> exchange) {
    while (!closed_) {
        std::string bytes = exchange->take();
        if (!bytes.empty()) {
            if (!co_await write(std::move(bytes))) {
                exchange->leave();
                co_return false;
            }
            continue;
        }
        if (exchange->finished()) co_return true;
        if (exchange->cut()) co_return false;
        co_await exchange->wait();
    }
    exchange->leave();
    co_return false;
}

asio::awaitable<bool> Connection::write(std::string bytes) {
    size_t done = 0;
    while (done < bytes.size()) {
        arm(context_.facts.limits.write);
        error_code error;
        done += co_await socket_.async_write_some(
            asio::buffer(bytes.data() + done, std::min(kWritePiece, bytes.size() - done)),
            asio::redirect_error(asio::use_awaitable, error));
        disarm();
        if (error || closed_) co_return false;
    }
    co_return true;
}

}  // namespace conclave::engine::server
