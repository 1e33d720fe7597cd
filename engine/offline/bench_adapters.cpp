#include "engine/offline/bench_adapters.h"

#include <stdlib.h>
#include <utime.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <future>
#include <memory>
#include <optional>
#include <utility>

#include "engine/library/adapter.h"
#include "engine/library/library.h"
#include "engine/offline/bench_parts.h"
#include "engine/offline/synth.h"
#include "engine/platform/memory.h"
#include "engine/platform/team.h"
#include "engine/scheduler/scheduler.h"
#include "engine/synth/adapter.h"

namespace conclave::engine::offline {
namespace {

using base::Code;
using base::Error;
using base::Result;
using base::TokenId;
using synth::Target;
using LoadedAdapter = std::shared_ptr<const library::LoadedAdapter>;

constexpr uint32_t kStreams = 8;
constexpr uint32_t kFirstUses = 5;
constexpr uint32_t kPrefix = 512;  // tokens of a conversation that are in the cache: whole pages
constexpr uint32_t kDepth = 16;    // positions before the token that is decoded

/// A folder for adapters' files that goes with this.
class Folder {
  public:
    static Result<Folder> make() {
        std::string pattern = (std::filesystem::temp_directory_path() / "conclave-bench-XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr)
            return Error{Code::FileWriteFailed, pattern, "", {std::strerror(errno)}};
        return Folder(pattern);
    }
    ~Folder() {
        std::error_code ignored;
        if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
    }
    Folder(Folder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    Folder& operator=(Folder&&) = delete;

    std::string path(const std::string& name) const { return path_ + "/" + name; }

  private:
    explicit Folder(std::string path) : path_(std::move(path)) {}
    std::string path_;
};

class AdapterBench {
  public:
    AdapterBench(const AdapterBenchOptions& options, std::shared_ptr<const library::LoadedModel> model,
                 Folder folder)
        : options_(options), model_(std::move(model)), folder_(std::move(folder)),
          tokens_(benchTokens(model_->model->config.vocabulary, 4096)) {}

    /// A drawn adapter's file.
    Result<std::string> draw(const std::string& name, Target target, uint64_t seed) {
        const synth::AdapterSpec spec{.rank = options_.rank, .targets = {target}, .seed = seed};
        CONCLAVE_TRY(const synth::SynthFile file,
                     synth::makeAdapter(spec, model_->model->config, model_->model->matrices));
        const std::string path = folder_.path(name);
        CONCLAVE_TRY_VOID(writeSynthFile(file, path, progressOf("draw")));
        return path;
    }

    Result<LoadedAdapter> load(const std::string& path, const std::string& name) const {
        return library::loadAdapter(path, name, *model_, {});
    }

    /// Its file counts as new each time: a hash is remembered only of files that have lain still for a while.
    Result<AdapterBenchRow> firstUse(const std::string& path) {
        const auto bytes = static_cast<double>(std::filesystem::file_size(path));
        std::vector<double> rates;
        for (uint32_t i = 0; i <= kFirstUses; ++i) {
            progress("first_use", i, kFirstUses + 1);
            if (::utime(path.c_str(), nullptr) != 0)
                return Error{Code::FileWriteFailed, path, "", {std::strerror(errno)}};
            const double begin = secondsNow();
            CONCLAVE_TRY(const LoadedAdapter adapter, load(path, "first-use"));
            if (i > 0) rates.push_back(bytes * 1e-9 / (secondsNow() - begin));
        }
        AdapterBenchRow row{"first_use", "GB/s", median(rates), 1, true, kFirstUses};
        row.note = std::to_string(static_cast<uint64_t>(bytes * 1e-6)) + " MB from the page cache";
        return row;
    }

    /// What each adapter costs of a decoded token, between two runs without one.
    Result<void> cost(platform::Team& team,
                      const std::vector<std::pair<std::string, LoadedAdapter>>& adapters,
                      AdapterBenchReport& report) {
        CONCLAVE_TRY(BenchPages pages, BenchPages::make(*model_->model, kDepth + 1));
        std::vector<BenchPages> all;
        all.push_back(std::move(pages));
        std::vector<double> base;
        std::vector<std::vector<double>> costs(adapters.size());
        for (uint32_t i = 0; i <= options_.samples; ++i) {
            progress("decode", i, options_.samples + 1);
            std::vector<double> seconds;
            seconds.reserve(adapters.size());
            const double before = step(team, all, {nullptr});
            for (const auto& [name, adapter] : adapters)
                seconds.push_back(step(team, all, {adapter}));
            const double without = (before + step(team, all, {nullptr})) / 2;
            if (i == 0) continue;
            base.push_back(without);
            for (size_t a = 0; a < adapters.size(); ++a)
                costs[a].push_back(100 * (seconds[a] / without - 1));
        }
        report.decodeMs = 1e3 * median(base);
        for (size_t a = 0; a < adapters.size(); ++a)
            report.rows.push_back({adapters[a].first, "%", median(costs[a]),
                                   adapters[a].first == "experts" ? 25.0 : 8.0, false, options_.samples});
        return {};
    }

    /// Eight streams: all with the first adapter, and each with its own. The adapters differ in their memory,
    /// not in their values, which no kernel looks at.
    Result<AdapterBenchRow> batch(platform::Team& team, const std::string& name, const std::string& path) {
        AdapterBenchRow row{name, "x", 0, 0.7, true};
        const uint64_t needed = kStreams * std::filesystem::file_size(path) * 5 / 4;
        if (needed > platform::availableMemory()) {
            row.note = "skipped: eight such adapters need " + std::to_string(needed >> 20) +
                       " MiB, which are not free";
            return row;
        }
        std::vector<BenchPages> pages;
        std::vector<LoadedAdapter> own;
        for (uint32_t i = 0; i < kStreams; ++i) {
            CONCLAVE_TRY(BenchPages one, BenchPages::make(*model_->model, kDepth + 1));
            pages.push_back(std::move(one));
            CONCLAVE_TRY(LoadedAdapter adapter, load(path, "stream-" + std::to_string(i)));
            own.push_back(std::move(adapter));
        }
        const std::vector<LoadedAdapter> same(kStreams, own[0]);
        std::vector<double> ratios;
        for (uint32_t i = 0; i <= options_.samples; ++i) {
            progress(name, i, options_.samples + 1);
            const double before = step(team, pages, same), apart = step(team, pages, own);
            const double one = (before + step(team, pages, same)) / 2;
            if (i > 0) ratios.push_back(one / apart);
        }
        row.value = median(ratios);
        row.samples = options_.samples;
        return row;
    }

    /// Two conversations that go on in turns, A A B B A A B B …: what a turn that follows one under another
    /// adapter takes longer than the next, which follows one under the same.
    Result<void> switching(const LoadedAdapter& a, const LoadedAdapter& b, AdapterBenchReport& report) {
        if (model_->model->config.context < kPrefix + 2) {
            AdapterBenchRow row{"switch", "ms", 0, 1};
            row.note = "skipped: the model's context of " + std::to_string(model_->model->config.context) +
                       " does not hold " + std::to_string(kPrefix + 2);
            report.rows.push_back(row);
            return {};
        }
        const uint64_t bytes = 8 * (kPrefix / kernels::kPagePositions + 1) * model_->model->kv.pageBytes;
        CONCLAVE_TRY(const auto scheduler,
                     scheduler::Scheduler::start({.threads = options_.threads, .kvBytes = bytes}));
        for (const LoadedAdapter& adapter : {a, b}) {
            const Result<Turn> warm = turn(*scheduler, adapter);
            if (!warm.ok()) return warm.error();
        }
        std::vector<double> same, differences;
        uint32_t again = 0;
        for (uint32_t i = 0; i < 2 * options_.samples; ++i) {
            progress("switch", i, 2 * options_.samples);
            const LoadedAdapter& adapter = i % 2 == 0 ? a : b;
            CONCLAVE_TRY(const Turn switched, turn(*scheduler, adapter));
            CONCLAVE_TRY(const Turn stayed, turn(*scheduler, adapter));
            again = std::max({again, kPrefix - switched.cached, kPrefix - stayed.cached});
            same.push_back(1e3 * stayed.seconds);
            differences.push_back(1e3 * (switched.seconds - stayed.seconds));
        }
        AdapterBenchRow row{"switch", "ms", median(differences), 1, false};
        row.samples = 2 * options_.samples;
        char note[48];
        std::snprintf(note, sizeof note, "between turns of %.1f ms", median(same));
        row.note = note;
        report.rows.push_back(row);
        report.rows.push_back({"computed_again", "tokens", static_cast<double>(again), 0, false,
                               4 * options_.samples, "of " + std::to_string(kPrefix)});
        return {};
    }

  private:
    struct Turn {
        double seconds = 0;
        uint32_t cached = 0;
    };

    Result<Turn> turn(scheduler::Scheduler& scheduler, const LoadedAdapter& adapter) {
        scheduler::GenerationRequest request;
        request.model = model_;
        request.adapters = {{adapter, 1.0f}};
        request.prompt.assign(tokens_.begin(), tokens_.begin() + kPrefix + 1);
        request.maxTokens = 1;
        request.ignoreEnd = true;
        request.sampling.temperature = 0;
        auto finished = std::make_shared<std::promise<scheduler::SequenceEvent>>();
        request.onEvent = [finished](const scheduler::SequenceEvent& event) {
            if (event.kind == scheduler::SequenceEvent::Kind::Finished) finished->set_value(event);
        };
        const double begin = secondsNow();
        const auto id = scheduler.submit(std::move(request));
        if (!id.ok()) return id.error();
        const scheduler::SequenceEvent event = finished->get_future().get();
        const double seconds = secondsNow() - begin;
        if (event.error) return *event.error;
        return Turn{seconds, event.usage.cachedTokens};
    }

    /// Seconds of decoding one token of each sequence under its adapter.
    double step(platform::Team& team, const std::vector<BenchPages>& pages,
                const std::vector<LoadedAdapter>& adapters) {
        std::vector<model::AdapterUse> uses(adapters.size());
        model::Step step;
        for (size_t i = 0; i < adapters.size(); ++i) {
            model::Slice slice{.tokens = std::span(tokens_).subspan(next_++ % 4096, 1),
                               .start = kDepth,
                               .pages = pages[i].pages};
            if (adapters[i] != nullptr) {
                uses[i].adapter = adapters[i]->adapter.get();
                slice.adapters = {&uses[i], 1};
            }
            step.slices.push_back(slice);
        }
        const double begin = secondsNow();
        model_->model->forward(step, team);
        return secondsNow() - begin;
    }

    void progress(const std::string& stage, uint64_t done, uint64_t total) const {
        if (options_.progress) options_.progress(stage, done, total);
    }
    std::function<void(uint64_t, uint64_t)> progressOf(const std::string& stage) const {
        return [this, stage](uint64_t done, uint64_t total) { progress(stage, done, total); };
    }

    const AdapterBenchOptions& options_;
    std::shared_ptr<const library::LoadedModel> model_;
    Folder folder_;
    std::vector<TokenId> tokens_;
    size_t next_ = 0;
};

Result<void> checkOptions(const AdapterBenchOptions& options) {
    if (options.samples == 0 || options.samples > 1000)
        return Error{Code::OutOfRange, "", "--samples", {std::to_string(options.samples), "1 to 1000"}};
    if (const size_t most = platform::availableThreads(); options.threads > most)
        return Error{
            Code::TooManyThreads, "", "--threads", {std::to_string(options.threads), std::to_string(most)}};
    return {};
}

/// Every row of a loaded model.
Result<void> measure(AdapterBench& bench, bool hasExperts, size_t threads, AdapterBenchReport& report) {
    struct Kind {
        std::string name;
        Target target;
        std::string path{};
    };
    std::vector<Kind> kinds = {{"attention", Target::Attention}};
    if (hasExperts) kinds.push_back({"experts", Target::Experts});
    std::vector<std::pair<std::string, LoadedAdapter>> adapters;
    for (Kind& kind : kinds) {
        CONCLAVE_TRY(kind.path, bench.draw(kind.name, kind.target, synth::kDefaultSeed));
        CONCLAVE_TRY(LoadedAdapter adapter, bench.load(kind.path, kind.name));
        adapters.emplace_back(kind.name, std::move(adapter));
    }
    CONCLAVE_TRY(AdapterBenchRow first, bench.firstUse(kinds.back().path));
    report.rows.push_back(std::move(first));
    {
        platform::Team team(threads);
        CONCLAVE_TRY_VOID(bench.cost(team, adapters, report));
        for (const Kind& kind : kinds) {
            CONCLAVE_TRY(AdapterBenchRow row, bench.batch(team, "batch_" + kind.name, kind.path));
            report.rows.push_back(std::move(row));
        }
    }
    CONCLAVE_TRY(const std::string path, bench.draw("other", Target::Attention, synth::kDefaultSeed + 1));
    CONCLAVE_TRY(const LoadedAdapter other, bench.load(path, "other"));
    return bench.switching(adapters[0].second, other, report);
}

}  // namespace

Result<AdapterBenchReport> benchAdapters(const AdapterBenchOptions& options) {
    CONCLAVE_TRY_VOID(checkOptions(options));
    model::LoadOptions load = options.load;
    load.progress = options.progress;
    load.threads = options.threads;
    if (load.kernels == nullptr) {
        CONCLAVE_TRY(load.kernels, kernels::selectKernels(""));
    }
    CONCLAVE_TRY(const auto model, library::loadPath(options.model, "", load));
    CONCLAVE_TRY(Folder folder, Folder::make());
    AdapterBenchReport report;
    report.model = options.model;
    report.kernels = std::string(load.kernels->name);
    report.threads = options.threads > 0 ? options.threads : platform::defaultThreads();
    report.rank = options.rank;
    AdapterBench bench(options, model, std::move(folder));
    CONCLAVE_TRY_VOID(measure(bench, model->model->config.experts > 0, report.threads, report));
    return report;
}

nlohmann::ordered_json toJson(const AdapterBenchReport& report) {
    nlohmann::ordered_json out = {{"model", report.model},        {"kernels", report.kernels},
                                  {"threads", report.threads},    {"rank", report.rank},
                                  {"decode_ms", report.decodeMs}, {"rows", nlohmann::ordered_json::array()}};
    for (const AdapterBenchRow& row : report.rows) {
        nlohmann::ordered_json one = {{"name", row.name}, {"value", row.value}, {"unit", row.unit},
                                      {"bar", row.bar},   {"met", row.met()},   {"samples", row.samples}};
        if (!row.note.empty()) one["note"] = row.note;
        out["rows"].push_back(std::move(one));
    }
    return out;
}

}  // namespace conclave::engine::offline
