#include "engine/offline/bench.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <utility>

#include "engine/library/library.h"
#include "engine/model/expert_counts.h"
#include "engine/offline/bench_parts.h"
#include "engine/offline/machine_limits.h"
#include "engine/platform/memory.h"
#include "engine/platform/team.h"

namespace conclave::engine::offline {
namespace {

using base::Code;
using base::Error;
using base::Result;
using base::TokenId;

constexpr uint32_t kDecodeTokens = 16;  // of a sample
constexpr uint32_t kStreams = 4;
constexpr uint32_t kPrefix = 961, kNew = 20;  // of a chat that goes on

struct Sample {
    double value = 0, limit = 0;  // in the row's unit
};

/// The model, loaded as often as there are samples; the last one stays.
class Loading {
  public:
    Loading(const std::string& path, const model::LoadOptions& options, MachineLimits& limits)
        : path_(path), options_(options), limits_(limits) {}

    /// The limit is measured on memory given back before the load, which finds it at hand: a virtual machine
    /// may get memory that it never had more slowly than any disk delivers.
    Result<void> sample() {
        const bool again = loaded_ != nullptr;
        loaded_.reset();
        double limit = 0;
        if (again) {
            CONCLAVE_TRY(const double clearing, limits_.newMemory(bytes_));
            limit = static_cast<double>(bytes_) * (1 / clearing + 1 / limits_.read());
        } else {
            resets_ = platform::resetPeakMemory();
        }
        const uint64_t before = platform::residentPeak();
        const double begin = secondsNow();
        CONCLAVE_TRY(loaded_, library::loadPath(path_, "", options_));
        seconds_.push_back(secondsNow() - begin);
        bytes_ = model().footprint.weightBytes;
        if (again)
            limitSeconds_.push_back(limit);
        else
            peak_ = platform::residentPeak() - before;
        return {};
    }

    const model::Model& model() const { return *loaded_->model; }

    BenchRow time() const {
        BenchRow row = rowOf("load", "s");
        row.value = median(seconds_);
        const bool once = limitSeconds_.empty();
        row.limit = once ? static_cast<double>(bytes_) / limits_.read() : median(limitSeconds_);
        row.share = row.limit / row.value;
        row.samples = static_cast<uint32_t>(seconds_.size());
        row.note = once ? "limit: reading the model's bytes once"
                        : "limit: clearing as much new memory and reading the model's bytes, each once";
        return row;
    }

    BenchRow memory() const {
        BenchRow row = rowOf("peak_memory", "bytes");
        row.value = static_cast<double>(peak_);
        row.limit = static_cast<double>(bytes_);
        row.share = row.limit / row.value;
        row.samples = resets_ ? 1 : 0;
        row.note =
            resets_ ? "limit: the weights" : "skipped: the system does not let a process reset its peak";
        return row;
    }

  private:
    BenchRow rowOf(const std::string& name, const std::string& unit) const {
        BenchRow row{.name = name, .unit = unit};
        row.bytes = bytes_;
        return row;
    }

    std::string path_;
    model::LoadOptions options_;
    MachineLimits& limits_;
    std::shared_ptr<const library::LoadedModel> loaded_;
    std::vector<double> seconds_, limitSeconds_;
    uint64_t bytes_ = 0, peak_ = 0;
    bool resets_ = false;
};

class Bench {
  public:
    Bench(const model::Model& model, platform::Team& team, MachineLimits& limits, const BenchOptions& options)
        : model_(model), team_(team), limits_(limits), options_(options),
          tokens_(benchTokens(model.config.vocabulary, 8192)), counts_(model.config) {}

    Result<BenchRow> prefill(const std::string& name, uint32_t rows) {
        BenchRow row = rowOf(name, rows);
        row.bytes = model_.footprint.weightBytes / rows;
        row.operations = operationsOf(model_.footprint.operations);
        return measured(std::move(row), rows, [&](BenchPages& pages, model::StepTimes& times) {
            const double limit = operationLimit(rows);
            const double begin = secondsNow();
            for (uint32_t at = 0; at < rows; at += model_.maxRows) {
                const uint32_t count = std::min(model_.maxRows, rows - at);
                const bool last = at + count == rows;
                step({slice(pages, at, count, last)}, times);
            }
            return Sample{rows / (secondsNow() - begin), limit};
        });
    }

    /// New tokens on a prefix that is cached.
    Result<BenchRow> goOn(const std::string& name) {
        BenchRow row = rowOf(name, kPrefix + kNew);
        row.bytes = (model_.footprint.weightBytes + kPrefix * model_.footprint.kvBytes) / kNew;
        row.operations = operationsOf(model_.footprint.operations);
        return measured(std::move(row), kPrefix + kNew, [&](BenchPages& pages, model::StepTimes& times) {
            const double limit = operationLimit(kNew);
            const double begin = secondsNow();
            step({slice(pages, kPrefix, kNew, true)}, times);
            return Sample{kNew / (secondsNow() - begin), limit};
        });
    }

    Result<BenchRow> decode(const std::string& name, uint32_t depth) {
        BenchRow row = rowOf(name, depth + kDecodeTokens);
        row.bytes = model_.footprint.tokenBytes + depth * model_.footprint.kvBytes;
        row.operations =
            operationsOf(model_.footprint.operations) + operationsOf(model_.footprint.headOperations);
        return measured(std::move(row), depth + kDecodeTokens,
                        [&](BenchPages& pages, model::StepTimes& times) {
                            const double limit =
                                readLimit(model_.footprint.tokenBytes + depth * model_.footprint.kvBytes);
                            const double begin = secondsNow();
                            for (uint32_t i = 0; i < kDecodeTokens; ++i)
                                step({slice(pages, depth + i, 1, true)}, times);
                            return Sample{kDecodeTokens / (secondsNow() - begin), limit};
                        });
    }

    Result<BenchRow> streams(const std::string& name) {
        BenchRow row = rowOf(name, kDecodeTokens);
        row.bytes = bytesOfStep(kStreams);
        row.operations =
            operationsOf(model_.footprint.operations) + operationsOf(model_.footprint.headOperations);
        std::vector<BenchPages> others;
        for (uint32_t i = 1; i < kStreams && row.note.empty(); ++i) {
            CONCLAVE_TRY(BenchPages pages, BenchPages::make(model_, kDecodeTokens));
            others.push_back(std::move(pages));
        }
        return measured(std::move(row), kDecodeTokens, [&](BenchPages& pages, model::StepTimes& times) {
            const double limit = kStreams * readLimit(bytesOfStep(kStreams));
            const double begin = secondsNow();
            for (uint32_t i = 0; i < kDecodeTokens; ++i) {
                std::vector<model::Slice> slices = {slice(pages, i, 1, true)};
                for (BenchPages& other : others)
                    slices.push_back(slice(other, i, 1, true, static_cast<uint32_t>(slices.size()) * 64));
                step(std::move(slices), times);
            }
            return Sample{kStreams * kDecodeTokens / (secondsNow() - begin), limit};
        });
    }

    /// Medians of the limits at this moment.
    BenchReport::Limits limits() {
        std::vector<double> read, int8, bf16, f32;
        for (int i = 0; i < 5; ++i) {
            read.push_back(limits_.read());
            int8.push_back(limits_.int8());
            bf16.push_back(limits_.bf16());
            f32.push_back(limits_.f32());
        }
        return {median(read) * 1e-9, median(int8) * 1e-9, median(bf16) * 1e-9, median(f32) * 1e-9};
    }

  private:
    BenchRow rowOf(const std::string& name, uint32_t positions) const {
        BenchRow row{.name = name, .unit = "tokens/s"};
        if (positions > model_.config.context)
            row.note = "skipped: " + std::to_string(positions) +
                       " positions do not fit the model's context of " +
                       std::to_string(model_.config.context);
        return row;
    }

    model::Slice slice(BenchPages& pages, uint32_t start, uint32_t count, bool logits,
                       uint32_t shift = 0) const {
        return {.tokens = std::span(tokens_).subspan((start + shift) % 4096, count),
                .start = start,
                .pages = pages.pages,
                .logits = logits ? model::Slice::Logits::Last : model::Slice::Logits::None};
    }

    void step(std::vector<model::Slice> slices, model::StepTimes& times) {
        model::Step step;
        step.slices = std::move(slices);
        if (!counts_.empty())
            for (model::Slice& slice : step.slices)  // as the scheduler does
                slice.counts = &counts_;
        step.times = &times;
        model_.forward(step, team_);
    }

    template <class Run> Result<BenchRow> measured(BenchRow row, uint32_t positions, const Run& run) {
        if (!row.note.empty()) return row;
        CONCLAVE_TRY(BenchPages pages, BenchPages::make(model_, positions));
        std::vector<double> values, limits, shares;
        model::StepTimes warm;
        for (uint32_t i = 0; i <= options_.samples; ++i) {
            if (options_.progress) options_.progress(row.name, i, options_.samples + 1);
            const Sample sample = run(pages, i == 0 ? warm : row.times);
            if (i == 0) continue;
            values.push_back(sample.value);
            limits.push_back(sample.limit);
            shares.push_back(sample.value / sample.limit);
        }
        row.value = median(values);
        row.limit = median(limits);
        row.share = median(shares);
        row.samples = options_.samples;
        return row;
    }

    static uint64_t operationsOf(const uint64_t (&operations)[kernels::kActivations]) {
        return std::accumulate(std::begin(operations), std::end(operations), uint64_t{0});
    }

    /// Tokens a second if every product ran at the peak of its kind, the head for the last row only.
    double operationLimit(uint32_t rows) {
        // By kernels::Activation; int8 twice is two products.
        const double int8 = limits_.int8();
        const double peaks[kernels::kActivations] = {limits_.f32(), limits_.bf16(), int8, int8 / 2};
        double seconds = 0;
        for (size_t i = 0; i < kernels::kActivations; ++i)
            seconds += (static_cast<double>(model_.footprint.operations[i]) * rows +
                        static_cast<double>(model_.footprint.headOperations[i])) /
                       peaks[i];
        return rows / seconds;
    }

    double readLimit(uint64_t bytes) { return limits_.read() / static_cast<double>(bytes); }

    /// Bytes of a step with so many tokens: experts that several of them chose are read once. The choice is
    /// taken as even, which random weights come near to.
    uint64_t bytesOfStep(uint32_t tokens) const {
        const model::Footprint& f = model_.footprint;
        if (f.experts == 0) return f.tokenBytes;
        const double each = static_cast<double>(f.chosenExperts) / f.experts;
        const double met = (1 - std::pow(1 - each, tokens)) / each;  // in units of one token's experts
        return f.tokenBytes - f.expertBytes + static_cast<uint64_t>(met * static_cast<double>(f.expertBytes));
    }

    const model::Model& model_;
    platform::Team& team_;
    MachineLimits& limits_;
    const BenchOptions& options_;
    std::vector<TokenId> tokens_;
    model::ExpertCounts counts_;
};

Result<void> checkOptions(const BenchOptions& options) {
    const std::vector<std::string> known = benchRows();
    std::string names;
    for (const std::string& name : known)
        names += (names.empty() ? "" : ", ") + name;
    for (const std::string& name : options.rows)
        if (std::find(known.begin(), known.end(), name) == known.end())
            return Error{Code::OutOfRange, "", "--rows", {name, "some of " + names}};
    if (options.samples == 0 || options.samples > 1000)
        return Error{Code::OutOfRange, "", "--samples", {std::to_string(options.samples), "1 to 1000"}};
    if (const size_t most = platform::availableThreads(); options.threads > most)
        return Error{
            Code::TooManyThreads, "", "--threads", {std::to_string(options.threads), std::to_string(most)}};
    return {};
}

}  // namespace

std::vector<std::string> benchRows() {
    return {"prefill_512", "prefill_2048", "decode_0", "decode_4096",
            "streams_4",   "go_on",        "load",     "peak_memory"};
}

Result<BenchReport> bench(const BenchOptions& options) {
    CONCLAVE_TRY_VOID(checkOptions(options));
    model::LoadOptions load = options.load;
    load.progress = options.progress;
    load.threads = options.threads;
    if (load.kernels == nullptr) {
        CONCLAVE_TRY(load.kernels, kernels::selectKernels(""));
    }
    const auto isWanted = [&](const std::string& name) {
        return options.rows.empty() ||
               std::find(options.rows.begin(), options.rows.end(), name) != options.rows.end();
    };
    platform::Team team(options.threads > 0 ? options.threads : platform::defaultThreads());
    CONCLAVE_TRY(MachineLimits limits, MachineLimits::make(team));
    Loading loading(options.model, load, limits);
    CONCLAVE_TRY_VOID(loading.sample());
    for (uint32_t i = 1; i < options.samples && isWanted("load"); ++i)
        CONCLAVE_TRY_VOID(loading.sample());
    const model::Model& model = loading.model();

    Bench bench(model, team, limits, options);
    BenchReport report;
    report.model = options.model;
    report.kernels = std::string(load.kernels->name);
    report.threads = team.size();
    report.limits = bench.limits();
    for (const std::string& name : benchRows()) {
        if (!isWanted(name)) continue;
        BenchRow row;
        if (name == "prefill_512") {
            CONCLAVE_TRY(row, bench.prefill(name, 512));
        } else if (name == "prefill_2048") {
            CONCLAVE_TRY(row, bench.prefill(name, 2048));
        } else if (name == "decode_0") {
            CONCLAVE_TRY(row, bench.decode(name, 0));
        } else if (name == "decode_4096") {
            CONCLAVE_TRY(row, bench.decode(name, 4096));
        } else if (name == "streams_4") {
            CONCLAVE_TRY(row, bench.streams(name));
        } else if (name == "go_on") {
            CONCLAVE_TRY(row, bench.goOn(name));
        } else if (name == "load") {
            row = loading.time();
        } else {
            row = loading.memory();
        }
        report.rows.push_back(std::move(row));
    }
    return report;
}

nlohmann::ordered_json toJson(const BenchReport& report) {
    nlohmann::ordered_json out = {{"model", report.model},
                                  {"kernels", report.kernels},
                                  {"threads", report.threads},
                                  {"limits",
                                   {{"read_gb_s", report.limits.readGbS},
                                    {"int8_gop_s", report.limits.int8GopS},
                                    {"bf16_gop_s", report.limits.bf16GopS},
                                    {"f32_gflop_s", report.limits.f32GflopS}}},
                                  {"rows", nlohmann::ordered_json::array()}};
    for (const BenchRow& row : report.rows) {
        nlohmann::ordered_json one = {
            {"name", row.name},   {"value", row.value},           {"unit", row.unit},
            {"bytes", row.bytes}, {"operations", row.operations}, {"limit", row.limit},
            {"share", row.share}, {"samples", row.samples}};
        if (!row.note.empty()) one["note"] = row.note;
        const model::StepTimes& t = row.times;
        if (t.all > 0)
            one["times_ms"] = {{"attention", static_cast<double>(t.attention) * 1e-6},
                               {"router", static_cast<double>(t.router) * 1e-6},
                               {"counting", static_cast<double>(t.counting) * 1e-6},
                               {"feed_forward", static_cast<double>(t.feedForward) * 1e-6},
                               {"head", static_cast<double>(t.head) * 1e-6},
                               {"all", static_cast<double>(t.all) * 1e-6},
                               {"waiting", static_cast<double>(t.waiting) * 1e-6}};
        out["rows"].push_back(std::move(one));
    }
    return out;
}

}  // namespace conclave::engine::offline
