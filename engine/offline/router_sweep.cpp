#include "engine/offline/router_sweep.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <memory>
#include <numeric>
#include <optional>
#include <span>
#include <utility>

#include "engine/library/library.h"
#include "engine/model/expert_counts.h"
#include "engine/offline/bench_parts.h"
#include "engine/offline/runner.h"
#include "engine/offline/text_tokens.h"

namespace conclave::engine::offline {
namespace {

using base::Code;
using base::Error;
using base::Result;
using base::TokenId;
using Counts = std::vector<std::vector<uint64_t>>;  // [layers with experts][experts]

constexpr uint32_t kRows = 128;                       // of a step
constexpr uint32_t kWindow = 512;                     // most positions that see each other
constexpr uint32_t kPrefix = 32, kDecodeTokens = 16;  // of a timing
constexpr size_t kMostPoints = 64;

/// A way of routing and what was seen of it.
struct Point {
    std::string name;
    model::RouterOptions router;
    float cap = 0;

    std::vector<double> tokensPerSecond{}, speed{};
    uint64_t used = 0, rows = 0;  // slots with an expert; rows times layers
    double busiest = 0;
    uint64_t steps = 0;  // times layers
    Divergence divergence{};
};

Error badSweep(const std::string& text) {
    return {Code::OutOfRange,
            {},
            "--sweep",
            {text, "active, temperature, floor or cap and its values, as in active=2,4,8"}};
}

/// Sets the option that `name` says; false where there is none of that name.
bool set(Point& point, std::string_view name, double value) {
    if (name == "temperature")
        point.router.temperature = static_cast<float>(value);
    else if (name == "floor")
        point.router.floor = static_cast<float>(value);
    else if (name == "cap")
        point.cap = static_cast<float>(value);
    else if (name == "active" && value >= 1 && value <= 65536 && value == std::floor(value))
        point.router.active = static_cast<uint32_t>(value);
    else
        return false;
    return true;
}

/// "active=2,4" as two points.
Result<void> addPoints(const std::string& text, std::vector<Point>& out) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos) return badSweep(text);
    const std::string name = text.substr(0, equals);
    for (size_t at = equals + 1; at <= text.size();) {
        const size_t end = std::min(text.find(',', at), text.size());
        const std::string word = text.substr(at, end - at);
        double value = 0;
        const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), value);
        Point point{.name = name + "=" + word, .router = {}};
        if (error != std::errc() || stop != word.data() + word.size() || !set(point, name, value))
            return badSweep(text);
        if (name == "cap" && !(point.cap >= 1 && point.cap <= 1000))
            return Error{Code::OutOfRange, {}, "--sweep cap", {word, "from 1 to 1000"}};
        out.push_back(std::move(point));
        at = end + 1;
    }
    return {};
}

Result<std::vector<Point>> pointsOf(const SweepOptions& options, const library::LoadedModel& model) {
    std::vector<Point> points;
    points.push_back({.name = "as trained", .router = {}});
    for (const std::string& sweep : options.sweeps)
        CONCLAVE_TRY_VOID(addPoints(sweep, points));
    if (points.size() > kMostPoints)
        return Error{Code::BadArgument,
                     {},
                     "--sweep",
                     {"has more than " + std::to_string(kMostPoints - 1) + " values in all; measure fewer"}};
    for (Point& point : points) {
        CONCLAVE_TRY(point.router, model::canonicalRouter(point.router, model.model->config, model.name));
    }
    return points;
}

/// Notes who worked in a step of so many rows.
void noteStep(const model::ExpertCounts& counts, uint64_t rows, Point& point) {
    for (uint32_t l = 0; l < counts.layers(); ++l) {
        const std::span<const uint32_t> load = counts.layer(l);
        const uint64_t used = std::accumulate(load.begin(), load.end(), uint64_t{0});
        point.used += used;
        point.rows += rows;
        point.busiest += static_cast<double>(*std::ranges::max_element(load)) *
                         static_cast<double>(counts.experts()) / static_cast<double>(used);
        ++point.steps;
    }
}

/// As the planner wants them; empty where nothing was counted.
Counts tableOf(const model::ExpertCounts& counts) {
    Counts out;
    uint64_t all = 0;
    for (uint32_t l = 0; l < counts.layers(); ++l) {
        const std::span<const uint32_t> load = counts.layer(l);
        all = std::accumulate(load.begin(), load.end(), all);
        out.emplace_back(load.begin(), load.end());
    }
    return all > 0 ? out : Counts{};
}

class Sweep {
  public:
    Sweep(const model::Model& model, platform::Team& team, std::vector<Point>& points,
          std::span<const TokenId> tokens)
        : model_(model), team_(team), points_(points), tokens_(tokens), step_(model.config),
          earlier_(model.config), later_(model.config) {}

    /// All points on one window of the text, step by step; the model as trained comes first.
    Result<void> compare(size_t first, size_t size) {
        std::vector<Runner> runners;
        for (const Point& point : points_) {
            CONCLAVE_TRY(Runner runner, Runner::make(model_, team_, size));
            runner.steer(&point.router, point.cap);
            runners.push_back(std::move(runner));
        }
        for (size_t at = first; at < first + size; at += kRows) {
            const auto tokens = tokens_.subspan(at, std::min<size_t>(kRows, first + size - at));
            std::vector<float> want;
            for (size_t i = 0; i < points_.size(); ++i) {
                step_.clear();
                std::vector<float> got = runners[i].feed(tokens, model::Slice::Logits::All, nullptr, &step_);
                noteStep(step_, tokens.size(), points_[i]);
                if (i == 0) {
                    want = std::move(got);
                    (at < tokens_.size() / 2 ? earlier_ : later_).add(step_);
                } else {
                    addDivergence(want, got, model_.config.vocabulary, points_[i].divergence);
                }
            }
        }
        return {};
    }

    /// Tokens per second of one answer, all points in turns.
    Result<void> time(uint32_t samples, const std::function<void(uint32_t)>& done) {
        std::vector<Runner> runners;
        const size_t positions = kPrefix + size_t{samples} * kDecodeTokens;
        for (const Point& point : points_) {
            CONCLAVE_TRY(Runner runner, Runner::make(model_, team_, positions));
            runner.steer(&point.router, point.cap);
            for (uint32_t i = 0; i < kPrefix; ++i)
                feedOne(runner, i);
            runners.push_back(std::move(runner));
        }
        for (uint32_t sample = 0; sample < samples; ++sample) {
            done(sample);
            for (size_t i = 0; i < points_.size(); ++i) {
                const double begin = secondsNow();
                for (uint32_t n = 0; n < kDecodeTokens; ++n)
                    feedOne(runners[i], kPrefix + sample * kDecodeTokens + n);
                points_[i].tokensPerSecond.push_back(kDecodeTokens / (secondsNow() - begin));
                points_[i].speed.push_back(points_[i].tokensPerSecond.back() /
                                           points_.front().tokensPerSecond.back());
            }
        }
        return {};
    }

    Result<SweepReplicas> plan(const parallel::ReplicaOptions& options) const {
        model::ExpertCounts all = earlier_;
        all.add(later_);
        SweepReplicas out;
        out.numbers = model::layersWithExperts(model_.config);
        CONCLAVE_TRY(out.plan, parallel::planReplicas(tableOf(all), options));
        CONCLAVE_TRY(const parallel::ReplicaPlan first, parallel::planReplicas(tableOf(earlier_), options));
        const Counts later = tableOf(later_);
        for (size_t l = 0; l < later.size(); ++l)
            out.later.push_back(parallel::stragglerFactor(first.layers[l], later[l], options.devices));
        return out;
    }

  private:
    void feedOne(Runner& runner, size_t at) {
        const TokenId token = tokens_[at % tokens_.size()];
        runner.feed({&token, 1}, model::Slice::Logits::Last, nullptr);
    }

    const model::Model& model_;
    platform::Team& team_;
    std::vector<Point>& points_;
    std::span<const TokenId> tokens_;
    model::ExpertCounts step_;
    model::ExpertCounts earlier_, later_;  // of the model as trained, in the two halves of the text
};

Result<void> checkWishes(const SweepOptions& options) {
    if (const size_t most = platform::availableThreads(); options.threads > most)
        return Error{
            Code::TooManyThreads, "", "--threads", {std::to_string(options.threads), std::to_string(most)}};
    if (options.samples < 1 || options.samples > 1000)
        return Error{Code::OutOfRange, "", "--samples", {std::to_string(options.samples), "from 1 to 1000"}};
    std::vector<Point> unused;  // what is no sweep is said before minutes of loading
    for (const std::string& sweep : options.sweeps)
        CONCLAVE_TRY_VOID(addPoints(sweep, unused));
    return {};
}

SweepRow rowOf(const Point& point, uint64_t positions) {
    SweepRow row{.name = point.name,
                 .tokensPerSecond = median(point.tokensPerSecond),
                 .speed = median(point.speed),
                 .expertsPerToken = static_cast<double>(point.used) / static_cast<double>(point.rows),
                 .divergence = point.divergence,
                 .busiest = point.busiest / static_cast<double>(point.steps)};
    row.divergence.meanKl /= static_cast<double>(positions);
    return row;
}

nlohmann::json toJson(const SweepReplicas& replicas) {
    nlohmann::json layers = nlohmann::json::array();
    for (size_t l = 0; l < replicas.plan.layers.size(); ++l) {
        const parallel::LayerPlacement& layer = replicas.plan.layers[l];
        layers.push_back({{"layer", replicas.numbers[l]},
                          {"neighbours", layer.unplanned},
                          {"planned", layer.planned},
                          {"later", l < replicas.later.size() ? nlohmann::json(replicas.later[l])
                                                              : nlohmann::json(nullptr)},
                          {"devices", layer.devices}});
    }
    return {{"devices", replicas.plan.devices},
            {"slots", replicas.plan.slots},
            {"copies", replicas.plan.copies},
            {"layers", std::move(layers)}};
}

}  // namespace

Result<SweepReport> sweepRouter(const SweepOptions& options) {
    CONCLAVE_TRY_VOID(checkWishes(options));
    const auto progress = [&](const std::string& stage, uint64_t done, uint64_t total) {
        if (options.progress) options.progress(stage, done, total);
    };
    model::LoadOptions load = options.load;
    load.progress = progress;
    load.threads = options.threads;
    load.maxRows = kRows;
    if (load.kernels == nullptr) {
        CONCLAVE_TRY(load.kernels, kernels::selectKernels(""));
    }
    CONCLAVE_TRY(const auto loaded, library::loadPath(options.model, "", load));
    const model::ModelConfig& config = loaded->model->config;
    if (config.experts == 0)
        return Error{Code::BadArgument,
                     options.model,
                     "router",
                     {"a dense model has no experts to steer; give a mixture of experts"}};
    CONCLAVE_TRY(std::vector<Point> points, pointsOf(options, *loaded));
    CONCLAVE_TRY(const std::vector<TokenId> tokens, textTokens(options.text, options.tokens, *loaded));
    platform::Team team(options.threads > 0 ? options.threads : platform::defaultThreads());
    Sweep sweep(*loaded->model, team, points, tokens);
    const size_t window = std::min(kWindow, config.context);
    for (size_t at = 0; at < tokens.size(); at += window) {
        progress("compare", at, tokens.size());
        CONCLAVE_TRY_VOID(sweep.compare(at, std::min(window, tokens.size() - at)));
    }
    const uint32_t most = (config.context - std::min(config.context, kPrefix)) / kDecodeTokens;
    const uint32_t samples = std::min(options.samples, std::max(1u, most));
    CONCLAVE_TRY_VOID(sweep.time(samples, [&](uint32_t done) { progress("time", done, samples); }));

    SweepReport report;
    report.model = options.model;
    report.kernels = std::string(load.kernels->name);
    report.threads = team.size();
    report.positions = tokens.size();
    report.experts = config.experts;
    report.chosen = config.chosenExperts;
    report.stepRows = kRows;
    points.front().divergence.sameBest = tokens.size();
    for (const Point& point : points)
        report.rows.push_back(rowOf(point, tokens.size()));
    if (options.devices > 0) {
        CONCLAVE_TRY(report.replicas, sweep.plan({options.devices, options.extra}));
    }
    return report;
}

nlohmann::json toJson(const SweepReport& report) {
    nlohmann::json rows = nlohmann::json::array();
    for (const SweepRow& row : report.rows) {
        const double kl = row.divergence.meanKl;
        rows.push_back({{"name", row.name},
                        {"tokens_per_s", row.tokensPerSecond},
                        {"speed", row.speed},
                        {"experts_per_token", row.expertsPerToken},
                        {"mean_kl", std::isfinite(kl) ? nlohmann::json(kl) : nlohmann::json(nullptr)},
                        {"same_best", row.divergence.sameBest},
                        {"busiest", row.busiest}});
    }
    nlohmann::json out = {{"model", report.model},        {"kernels", report.kernels},
                          {"threads", report.threads},    {"positions", report.positions},
                          {"experts", report.experts},    {"chosen", report.chosen},
                          {"step_rows", report.stepRows}, {"rows", std::move(rows)}};
    if (report.replicas) out["replicas"] = toJson(*report.replicas);
    return out;
}

}  // namespace conclave::engine::offline
