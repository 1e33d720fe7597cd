#include "engine/server/exchange.h"

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "engine/protocol/errors.h"
#include "engine/protocol/sse.h"

namespace conclave::engine::server {

namespace asio = boost::asio;
using base::Code;
using base::Error;

Exchange::Exchange(const asio::any_io_executor& strand, ResponseForm form, size_t queueLimit,
                   std::atomic<uint64_t>& alive)
    : counted_(alive), strand_(strand), wake_(strand), form_(std::move(form)), queueLimit_(queueLimit) {
    wake_.expires_at(asio::steady_timer::time_point::max());
}

void Exchange::post(std::function<void()> work) {
    asio::post(strand_, std::move(work));
}

void Exchange::append(std::string_view bytes) {
    if (gone_ || cut_) return;
    // A whole answer is as large as its request made it; only what may go on for ever is bounded.
    if (streaming_ && queue_.size() + bytes.size() > queueLimit_) {
        cut_ = true;
        leave();
        if (onCut) onCut();
        return;
    }
    queue_ += bytes;
    wake_.cancel();
}

void Exchange::finish() {
    finished_ = true;
    goneHooks_.clear();
    wake_.cancel();
}

void Exchange::whole(int status, const std::string& body, std::string_view contentType) {
    if (finished_) return;
    CONCLAVE_CHECK(!streaming_);
    status_ = status;
    append(wholeHead(form_, status, body.size(), contentType));
    if (!form_.headOnly) append(body);
    finish();
}

void Exchange::beginEvents(std::string errorEvent) {
    if (finished_ || streaming_) return;
    streaming_ = true;
    status_ = 200;
    errorEvent_ = std::move(errorEvent);
    if (form_.version == 10) form_.keepAlive = false;
    append(streamHead(form_));
}

void Exchange::event(std::string_view name, std::string_view data) {
    if (finished_) return;
    CONCLAVE_CHECK(streaming_);
    append(streamPiece(form_, protocol::sseFrame(name, data)));
}

void Exchange::end() {
    if (finished_) return;
    append(streamEnd(form_));
    finish();
}

void Exchange::fail(const Error& error, int status) {
    if (finished_) return;
    const std::string body = protocol::errorBody(error);
    if (!streaming_) return whole(status != 0 ? status : protocol::httpStatus(error.code), body);
    event(errorEvent_, body);
    end();
}

void Exchange::whenGone(std::function<void()> hook) {
    if (finished_) return;
    if (gone_)
        hook();
    else
        goneHooks_.push_back(std::move(hook));
}

std::string Exchange::take() {
    return std::exchange(queue_, {});
}

asio::awaitable<void> Exchange::wait() {
    if (!queue_.empty() || finished_ || gone_) co_return;
    boost::system::error_code woken;
    co_await wake_.async_wait(asio::redirect_error(asio::use_awaitable, woken));
}

void Exchange::leave() {
    if (gone_) return;
    gone_ = true;
    for (const std::function<void()>& hook : std::exchange(goneHooks_, {}))
        hook();
    queue_.clear();
    wake_.cancel();
}

void Exchange::shutDown() {
    const std::vector<std::function<void()>> hooks = std::exchange(goneHooks_, {});
    fail({Code::ShuttingDown, {}, {}, {}});
    for (const std::function<void()>& hook : hooks)
        hook();
}

/// Lives as long as any copy of the Reply.
struct Reply::Guard {
    explicit Guard(std::shared_ptr<Exchange> to) : exchange(std::move(to)) {}
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    ~Guard() {
        exchange->post([exchange = exchange] {
            exchange->fail({Code::Internal, {}, {}, {"the request ended without an answer"}});
        });
    }
    std::shared_ptr<Exchange> exchange;
};

Reply::Reply(std::shared_ptr<Exchange> exchange) : guard_(std::make_shared<Guard>(std::move(exchange))) {}

void Reply::onStrand(std::function<void(Exchange&)> work) const {
    guard_->exchange->post([exchange = guard_->exchange, work = std::move(work)] { work(*exchange); });
}

void Reply::whole(int status, std::string body) const {
    onStrand([status, body = std::move(body)](Exchange& exchange) { exchange.whole(status, body); });
}

void Reply::fail(Error error) const {
    onStrand([error = std::move(error)](Exchange& exchange) { exchange.fail(error); });
}

void Reply::beginEvents(std::string errorEvent) const {
    onStrand([name = std::move(errorEvent)](Exchange& exchange) { exchange.beginEvents(name); });
}

void Reply::event(std::string name, std::string data) const {
    onStrand(
        [name = std::move(name), data = std::move(data)](Exchange& exchange) { exchange.event(name, data); });
}

void Reply::end() const {
    onStrand([](Exchange& exchange) { exchange.end(); });
}

void Reply::whenGone(std::function<void()> hook) const {
    onStrand([hook = std::move(hook)](Exchange& exchange) { exchange.whenGone(hook); });
}

}  // namespace conclave::engine::server
