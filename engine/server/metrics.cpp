// GET /metrics: what is counted, for Prometheus. Sums over all owners, and never a word of theirs.
#include "engine/platform/process_use.h"
#include "engine/protocol/metrics_text.h"
#include "engine/protocol/priority.h"
#include "engine/server/expert_metrics.h"
#include "engine/server/routes.h"

namespace conclave::engine::server {
namespace {

using protocol::MetricsText;
using Type = MetricsText::Type;
using Models = std::vector<scheduler::ModelCounts>;

void writeDoor(MetricsText& out, const Context& context) {
    const Facts& facts = context.facts;
    out.family("conclave_build_info", Type::Gauge, "What runs; the value is always 1.");
    out.sample({{"version", facts.version},
                {"kernels", facts.kernels},
                {"activations", facts.activations},
                {"kv", facts.kv}},
               uint64_t{1});
    out.single("conclave_http_connections", Type::Gauge, "Open connections.", context.open.load());
    out.single("conclave_http_connections_total", Type::Counter, "Connections that were accepted or refused.",
               context.traffic.connections.load());
    out.single("conclave_http_connections_refused_total", Type::Counter,
               "Connections that were one too many.", context.traffic.refusedConnections.load());
    out.single("conclave_http_readers_cut_total", Type::Counter,
               "Clients that were cut off because they did not read their stream.",
               context.traffic.cutReaders.load());
    out.single("conclave_http_requests", Type::Gauge, "Requests being answered, this one aside.",
               context.requests - 1);
    out.family("conclave_http_responses_total", Type::Counter,
               "Answers by class of status; none: the client left before.");
    for (size_t i = 0; i < Traffic::kClasses.size(); ++i)
        out.sample({{"code", Traffic::kClasses[i]}}, context.traffic.responses[i].load());
}

void writeModelCounter(MetricsText& out, const Models& models, std::string_view name, std::string_view help,
                       uint64_t scheduler::ModelCounts::*count) {
    out.family(name, Type::Counter, help);
    for (const scheduler::ModelCounts& model : models)
        out.sample({{"model", model.model}}, model.*count);
}

void writeModelHistogram(MetricsText& out, const Models& models, std::string_view name, std::string_view help,
                         scheduler::HistogramCounts scheduler::ModelCounts::*histogram) {
    out.family(name, Type::Histogram, help);
    for (const scheduler::ModelCounts& model : models) {
        const scheduler::HistogramCounts& counts = model.*histogram;
        out.histogram({{"model", model.model}}, counts.bounds, counts.counts, counts.sum);
    }
}

void writeModels(MetricsText& out, const Context& context) {
    constexpr std::string_view kOutcomes[] = {"stop", "length", "cancelled", "failed"};
    using scheduler::ModelCounts;
    const Models models = context.scheduler.metrics().models();
    out.family("conclave_requests_total", Type::Counter, "Finished sequences by outcome.");
    for (const ModelCounts& model : models)
        for (size_t i = 0; i < scheduler::kFinishReasons; ++i)
            out.sample({{"model", model.model}, {"outcome", kOutcomes[i]}}, model.finished[i]);
    writeModelCounter(out, models, "conclave_prompt_tokens_total", "Prompt tokens of admitted sequences.",
                      &ModelCounts::promptTokens);
    writeModelCounter(out, models, "conclave_cached_tokens_total", "Prompt tokens that were found computed.",
                      &ModelCounts::cachedTokens);
    writeModelCounter(out, models, "conclave_generated_tokens_total", "Tokens that were generated.",
                      &ModelCounts::generatedTokens);
    writeModelHistogram(out, models, "conclave_time_to_first_token_seconds",
                        "From the submission of a sequence to its first token.", &ModelCounts::firstToken);
    writeModelHistogram(out, models, "conclave_inter_token_seconds", "Between two tokens of an answer.",
                        &ModelCounts::betweenTokens);
    out.family("conclave_model_context_tokens", Type::Gauge, "Context of each loaded model.");
    for (const library::ModelEntry& entry : context.library.list())
        if (const auto model = entry.loaded ? context.library.loaded(entry.name) : nullptr)
            out.sample({{"model", model->name}}, uint64_t{context.scheduler.contextOf(*model)});
}

void writeScheduler(MetricsText& out, const scheduler::Scheduler& scheduler) {
    const scheduler::SchedulerStats stats = scheduler.stats();
    const auto counts = scheduler.counts();
    out.family("conclave_sequences", Type::Gauge, "Sequences by priority and state.");
    for (size_t i = 0; i < counts.size(); ++i) {
        out.sample({{"priority", protocol::kPriorityNames[i]}, {"state", "waiting"}}, counts[i].waiting);
        out.sample({{"priority", protocol::kPriorityNames[i]}, {"state", "running"}}, counts[i].running);
    }
    out.single("conclave_kv_bytes", Type::Gauge, "Bytes of KV pages that somebody holds, the cache included.",
               stats.kvBytesInUse);
    out.single("conclave_kv_budget_bytes", Type::Gauge, "Bytes of KV pages that there may be.",
               scheduler.kvBytes());
    out.single("conclave_prefix_cache_pages", Type::Gauge, "Pages in the prefix cache.", stats.cachedPages);
    out.single("conclave_prefix_cache_lookups_total", Type::Counter,
               "Sequences that looked for a stored prefix.", stats.lookups);
    out.single("conclave_prefix_cache_hits_total", Type::Counter, "Sequences that found one.", stats.hits);
    out.single("conclave_prefix_cache_evictions_total", Type::Counter, "Pages that made room for others.",
               stats.evictions);
    out.single("conclave_preemptions_total", Type::Counter, "Sequences that lost their pages for a while.",
               stats.preemptions);
    out.single("conclave_steps_total", Type::Counter, "Steps of all models.", stats.steps);
    out.single("conclave_steps_stopped_total", Type::Counter,
               "Steps that were cancelled or gave way to a higher priority.", stats.stoppedSteps);
    out.single("conclave_step_rows_total", Type::Counter, "Tokens computed in steps.", stats.rows);
    out.family("conclave_step_seconds", Type::Histogram, "Time of a step.");
    const scheduler::HistogramCounts step = scheduler.metrics().step.read();
    out.histogram({}, step.bounds, step.counts, step.sum);
}

void writeAdapters(MetricsText& out, const library::AdapterShelf& adapters) {
    const library::AdapterShelf::Stats stats = adapters.stats();
    out.single("conclave_adapter_bytes", Type::Gauge, "Bytes of adapters in memory.", stats.bytes);
    out.single("conclave_adapter_budget_bytes", Type::Gauge, "Bytes of adapters that there may be.",
               stats.budget);
    out.single("conclave_adapter_loads_total", Type::Counter, "Adapters that were read from their files.",
               stats.loads);
    out.single("conclave_adapter_evictions_total", Type::Counter, "Adapters that made room for others.",
               stats.evictions);
}

void writeProcess(MetricsText& out, const Facts& facts) {
    const platform::ProcessUse use = platform::processUse();
    out.single("process_resident_memory_bytes", Type::Gauge, "Resident memory.", use.residentBytes);
    out.single("process_cpu_seconds_total", Type::Counter, "Processor time.", use.cpuSeconds);
    out.single("process_open_fds", Type::Gauge, "Open file descriptors.", use.openFiles);
    out.single("process_start_time_seconds", Type::Gauge, "Start, seconds since 1970.",
               static_cast<double>(facts.startedUnix));
}

}  // namespace

void metrics(Context& context, const Request&, const Reply& reply) {
    MetricsText out;
    writeDoor(out, context);
    writeModels(out, context);
    writeScheduler(out, context.scheduler);
    writeAdapters(out, context.adapters);
    writeExperts(out, context);
    writeProcess(out, context.facts);
    reply.onStrand(
        [text = out.text()](Exchange& exchange) { exchange.whole(200, text, protocol::kMetricsType); });
}

}  // namespace conclave::engine::server
