#include "engine/scheduler/scheduler.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <random>
#include <string>
#include <thread>
#include <utility>

#include "engine/platform/memory.h"
#include "engine/platform/team.h"
#include "engine/scheduler/inbox.h"
#include "engine/scheduler/kv_budget.h"
#include "engine/scheduler/loop.h"
#include "engine/scheduler/page_pool.h"

namespace conclave::engine::scheduler {
namespace {

std::string bytesText(uint64_t bytes) {
    constexpr uint64_t kMiB = uint64_t{1} << 20;
    return bytes >= 10 * kMiB ? std::to_string(bytes / kMiB) + " MiB" : std::to_string(bytes) + " bytes";
}

uint64_t seedFromSystem() {
    std::random_device device;
    return (uint64_t{device()} << 32) | device();
}

/// Whether the model has the ids that the request names.
base::Result<void> checkTokens(const GenerationRequest& request) {
    const uint32_t vocabulary = request.model->model->config.vocabulary;
    const auto outside = [&](base::TokenId token, const char* field) -> std::optional<base::Error> {
        if (base::toInt(token) >= 0 && static_cast<uint32_t>(base::toInt(token)) < vocabulary)
            return std::nullopt;
        return base::Error{base::Code::TokenOutOfRange,
                           {},
                           field,
                           {std::to_string(base::toInt(token)), std::to_string(vocabulary - 1)}};
    };
    for (const base::TokenId token : request.prompt)
        if (auto error = outside(token, "prompt")) return *error;
    for (const sampling::LogitBias& bias : request.sampling.bias)
        if (auto error = outside(bias.token, "logit_bias")) return *error;
    return {};
}

/// Adapters are made for one model, and those that wait for their invocation work alone.
base::Result<void> checkAdapters(const GenerationRequest& request) {
    for (const library::AdapterUse& use : request.adapters) {
        CONCLAVE_CHECK(use.adapter != nullptr);
        if (use.adapter->base != request.model->model)
            return base::Error{base::Code::AdapterMismatch,
                               use.adapter->path,
                               "lora",
                               {"it is loaded for another model than " + request.model->name}};
        if (!std::isfinite(use.strength))
            return base::Error{base::Code::BadArgument, {}, "lora", {"a scale must be a finite number"}};
        if (!use.adapter->adapter->invocation.empty() && request.adapters.size() > 1)
            return base::Error{base::Code::BadArgument,
                               {},
                               "lora",
                               {use.adapter->name + " works from its invocation on and cannot be combined"}};
    }
    return {};
}

}  // namespace

struct Scheduler::State {
    State(SchedulerOptions from, size_t threads)
        : options(std::move(from)), threads(threads),
          budget(options.kvBytes, options.context, options.freeMemory), experts(options.expertLogBytes),
          loop(options, threads, inbox, {metrics, experts}) {}

    const SchedulerOptions options;
    const size_t threads;
    KvBudget budget;
    std::atomic<uint64_t> lastId{0};
    Inbox inbox;
    Metrics metrics;
    ExpertLog experts;
    Loop loop;
    std::thread thread;
};

Scheduler::Scheduler(std::unique_ptr<State> state) : state_(std::move(state)) {}

base::Result<std::unique_ptr<Scheduler>> Scheduler::start(const SchedulerOptions& options) {
    const size_t threads = options.threads > 0 ? options.threads : platform::defaultThreads();
    if (threads > platform::availableThreads())
        return base::Error{base::Code::TooManyThreads,
                           {},
                           {},
                           {std::to_string(threads), std::to_string(platform::availableThreads())}};
    const uint64_t available = platform::availableMemory();
    if (options.kvBytes > available)
        return base::Error{base::Code::OutOfMemory,
                           {},
                           "--kv-memory",
                           {bytesText(options.kvBytes) + " wanted, " + bytesText(available) + " available"}};
    SchedulerOptions checked = options;
    checked.maxSequences = std::max(1u, options.maxSequences);
    checked.chunk = std::max(1u, options.chunk);
    if (!checked.freeMemory) checked.freeMemory = platform::availableMemory;
    auto state = std::make_unique<State>(checked, threads);
    state->thread = std::thread([loop = &state->loop] { loop->run(); });
    return std::unique_ptr<Scheduler>(new Scheduler(std::move(state)));
}

Scheduler::~Scheduler() {
    state_->inbox.send(Shutdown{});
    state_->thread.join();
}

uint32_t Scheduler::contextOf(const library::LoadedModel& model) const {
    return state_->budget.contextOf(model);
}

uint64_t Scheduler::kvBytes() const {
    return state_->budget.bytes();
}

base::Result<base::SequenceId> Scheduler::submit(GenerationRequest request) {
    CONCLAVE_CHECK(request.model != nullptr && request.onEvent != nullptr);
    if (request.prompt.empty())
        return base::Error{base::Code::BadArgument, {}, "prompt", {"is empty; send at least one token"}};
    CONCLAVE_TRY_VOID(checkTokens(request));
    CONCLAVE_TRY_VOID(checkAdapters(request));
    CONCLAVE_TRY(request.router,
                 model::canonicalRouter(request.router, request.model->model->config, request.model->name));
    const uint32_t context = contextOf(*request.model);
    const size_t pageBytes = request.model->model->kv.pageBytes;
    if (context == 0)
        return base::Error{
            base::Code::KvBudget, {}, {}, {bytesText(kvBytes()), request.model->name, bytesText(pageBytes)}};
    if (request.prompt.size() > context)
        return base::Error{base::Code::ContextExceeded,
                           {},
                           {},
                           {std::to_string(request.prompt.size()), std::to_string(context)}};
    const uint32_t left = context - static_cast<uint32_t>(request.prompt.size());
    Submit submit;
    submit.id = base::SequenceId{++state_->lastId};
    submit.at = std::chrono::steady_clock::now();
    submit.kvBytes = kvBytes();
    submit.limit = std::min(left, request.maxTokens.value_or(left));
    submit.seed = request.sampling.seed      ? *request.sampling.seed
                  : state_->options.drawSeed ? state_->options.drawSeed()
                                             : seedFromSystem();
    submit.request = std::move(request);
    const base::SequenceId id = submit.id;
    state_->inbox.send(std::move(submit));
    return id;
}

void Scheduler::cancel(base::SequenceId sequence) {
    state_->inbox.send(Cancel{sequence});
}

std::vector<SequenceInfo> Scheduler::sequences(base::OwnerId owner) const {
    return state_->inbox.sequences(owner);
}

std::array<SequenceCounts, kPriorities> Scheduler::counts() const {
    return state_->inbox.counts();
}

const Metrics& Scheduler::metrics() const {
    return state_->metrics;
}

ExpertWindow Scheduler::experts(const library::LoadedModel& model, const ExpertQuery& query) const {
    return state_->experts.read(model, query, std::chrono::steady_clock::now());
}

SchedulerStats Scheduler::stats() const {
    return state_->inbox.stats();
}

size_t Scheduler::threads() const {
    return state_->threads;
}

}  // namespace conclave::engine::scheduler
