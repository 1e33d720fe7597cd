// GET /conclave/v1/experts: which experts the caller's own requests met lately, once or again and again.
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <chrono>
#include <memory>

#include "engine/protocol/experts.h"
#include "engine/protocol/models.h"
#include "engine/server/routes.h"

namespace conclave::engine::server {
namespace {

namespace asio = boost::asio;
using base::Code;
using base::Error;
using Model = std::shared_ptr<const library::LoadedModel>;

protocol::ExpertFigures figuresOf(const scheduler::LoadFigures& figures) {
    return {figures.maxVio, figures.cv, figures.entropy, figures.dead};
}

protocol::ExpertsSnapshot snapshotOf(const library::LoadedModel& model,
                                     const scheduler::ExpertWindow& window) {
    protocol::ExpertsSnapshot out;
    out.model = model.name;
    out.experts = window.experts;
    out.chosen = window.chosen;
    out.tokens = window.tokens;
    out.seconds = window.seconds;
    out.worstLayer = window.worstLayer();
    for (const scheduler::LayerLoad& load : window.layers) {
        protocol::ExpertLayer layer;
        layer.layer = load.layer;
        layer.counts = load.counts;
        if (load.load) layer.load = figuresOf(*load.load);
        if (load.floor) layer.floor = figuresOf(*load.floor);
        out.layers.push_back(std::move(layer));
    }
    return out;
}

/// A model that is loaded already: asking what it did must not load one.
base::Result<Model> loadedModel(const Context& context, const std::string& name) {
    if (auto model = context.library.loaded(name)) return model;
    std::string loaded;
    for (const library::ModelEntry& entry : context.library.list())
        if (entry.loaded) loaded += (loaded.empty() ? "" : ", ") + entry.name;
    const std::string others = "loaded are: " + (loaded.empty() ? "none" : loaded);
    return Error{Code::BadArgument,
                 {},
                 "model",
                 {name.empty() ? "is missing; " + others : name + " is not loaded; " + others}};
}

struct Wish {
    std::string model;
    scheduler::ExpertQuery query;
    std::chrono::milliseconds every{1000};
};

base::Result<std::string> snapshotText(const Context& context, const Wish& wish) {
    CONCLAVE_TRY(const Model model, loadedModel(context, wish.model));
    if (model->model->config.experts == 0)
        return Error{Code::BadArgument, {}, "model", {model->name + " has no experts"}};
    return protocol::toText(snapshotOf(*model, context.scheduler.experts(*model, wish.query)));
}

/// Sends a snapshot again and again until the client, the engine or the model leaves. A reader who has not
/// taken the last one misses the next. Its functions run on a strand of the workers; only the timer, the
/// connection's hook and what is on its way there hold it.
class ExpertStream : public std::enable_shared_from_this<ExpertStream> {
  public:
    ExpertStream(Context& context, Wish wish, Reply reply)
        : context_(context), wish_(std::move(wish)), reply_(std::move(reply)),
          strand_(asio::make_strand(context.workers.get_executor())), timer_(strand_) {}

    void start() {
        reply_.onStrand([self = shared_from_this()](Exchange& exchange) {
            if (exchange.finished()) return;  // the engine is leaving
            exchange.beginEvents(std::string(protocol::kErrorEvent));
            asio::post(self->strand_, [self] { self->send(); });
            exchange.whenGone([weak = std::weak_ptr(self)] {
                if (const auto there = weak.lock()) asio::post(there->strand_, [there] { there->stop(); });
            });
        });
    }

  private:
    void send() {
        if (stopped_) return;
        const auto text = snapshotText(context_, wish_);
        if (!text.ok()) return reply_.fail(text.error());
        reply_.onStrand([text = *text](Exchange& exchange) {
            if (exchange.drained()) exchange.event(protocol::kExpertsEvent, text);
        });
        timer_.expires_after(wish_.every);
        timer_.async_wait([self = shared_from_this()](const boost::system::error_code& cancelled) {
            if (!cancelled) self->send();
        });
    }

    void stop() {
        stopped_ = true;
        timer_.cancel();
    }

    Context& context_;
    const Wish wish_;
    Reply reply_;
    asio::strand<asio::thread_pool::executor_type> strand_;
    asio::steady_timer timer_;
    bool stopped_ = false;
};

}  // namespace

void experts(Context& context, const Request& request, const Reply& reply) {
    const auto query = protocol::readExpertsQuery(request.query);
    if (!query.ok()) return reply.fail(query.error());
    Wish wish{.model = query->model.empty() ? modelWithoutName(context) : query->model, .query = {}};
    wish.query.owner = request.owner;
    wish.query.conversation = query->conversation;
    wish.query.adapter = query->adapter;
    wish.query.tokens = query->tokens;
    if (query->seconds) wish.query.last = std::chrono::seconds(*query->seconds);
    wish.every = std::chrono::milliseconds(static_cast<int64_t>(query->everySeconds * 1000));
    const auto now = snapshotText(context, wish);
    if (!now.ok()) return reply.fail(now.error());
    if (!query->stream || request.method == "HEAD") return reply.ok(*now);
    std::make_shared<ExpertStream>(context, std::move(wish), reply)->start();
}

}  // namespace conclave::engine::server
