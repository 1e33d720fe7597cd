#include "engine/offline/production.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <memory>
#include <span>
#include <utility>

#include "engine/library/adapter_facts.h"
#include "engine/library/library.h"
#include "engine/offline/golden.h"
#include "engine/offline/runner.h"
#include "engine/offline/text_tokens.h"

namespace conclave::engine::offline {
namespace {

using base::Code;
using base::Error;
using base::Result;
using base::TokenId;

constexpr uint32_t kWindow = 2048;  // most positions of a text that see each other
constexpr uint32_t kRows = 128;     // logits of so many rows are held at once, three times

/// Tokens that are one sequence, with what the golden files say where there are any.
struct Sequence {
    std::span<const TokenId> tokens;
    const GoldenPrompt* golden = nullptr;
};

/// A model as it is run, with the adapter of all its rows.
struct Subject {
    std::shared_ptr<const library::LoadedModel> loaded;
    std::shared_ptr<const model::Adapter> adapter;  ///< null = none

    std::vector<model::AdapterUse> uses() const {
        return adapter ? std::vector<model::AdapterUse>{{adapter.get()}} : std::vector<model::AdapterUse>{};
    }
};

Result<Subject> load(const CheckOptions& asked, const model::LoadOptions& options) {
    Subject subject;
    CONCLAVE_TRY(subject.loaded, library::loadPath(asked.model, "", options));
    if (asked.adapter.empty()) return subject;
    CONCLAVE_TRY(const formats::AdapterFile file, formats::openAdapter(asked.adapter));
    CONCLAVE_TRY(subject.adapter, model::loadAdapter(file, *subject.loaded->model));
    return subject;
}

class Comparison {
  public:
    Comparison(const Subject& exact, const Subject& fast, platform::Team& team, ProductionReport& report)
        : exact_(*exact.loaded->model), fast_(*fast.loaded->model), exactUses_(exact.uses()),
          fastUses_(fast.uses()), team_(team), report_(report) {}

    Result<void> run(const Sequence& sequence) {
        const size_t size = sequence.tokens.size();
        CONCLAVE_TRY(Runner exact, Runner::make(exact_, team_, size, exactUses_));
        CONCLAVE_TRY(Runner forced, Runner::make(fast_, team_, size, fastUses_));
        CONCLAVE_TRY(Runner free, Runner::make(fast_, team_, size, fastUses_));
        constexpr auto kAll = model::Slice::Logits::All;
        for (size_t first = 0; first < size; first += kRows) {
            const auto tokens = sequence.tokens.subspan(first, std::min<size_t>(kRows, size - first));
            model::RouteTrace exactTrace = golden(sequence, first, tokens.size());
            const std::vector<float> want = exact.feed(tokens, kAll, &exactTrace);
            model::RouteTrace forcedTrace;
            for (const model::RouteTrace::Layer& layer : exactTrace.layers)
                forcedTrace.layers.emplace_back().forced = layer.ids;
            const std::vector<float> got = forced.feed(tokens, kAll, &forcedTrace);
            const size_t vocabulary = exact_.config.vocabulary;
            addDivergence(want, got, vocabulary, report_.forced);
            addDivergence(want, free.feed(tokens, kAll, nullptr), vocabulary, report_.free);
            if (sequence.golden != nullptr) compareGolden(*sequence.golden, first, got);
            report_.positions += tokens.size();
        }
        ++report_.prompts;
        return {};
    }

  private:
    /// A trace that forces the golden experts, so that the golden logits are those of the same experts.
    model::RouteTrace golden(const Sequence& sequence, size_t first, size_t rows) const {
        model::RouteTrace trace;
        if (sequence.golden == nullptr) return trace;
        const size_t chosen = exact_.config.chosenExperts;
        for (const GoldenPrompt::Routing& routing : sequence.golden->routing) {
            const auto begin = routing.experts.begin() + static_cast<ptrdiff_t>(first * chosen);
            trace.layers.emplace_back().forced.assign(begin, begin + static_cast<ptrdiff_t>(rows * chosen));
        }
        return trace;
    }

    void compareGolden(const GoldenPrompt& prompt, size_t first, const std::vector<float>& got) {
        const float* want = prompt.logits.data() + first * exact_.config.vocabulary;
        report_.maxLogitError = std::max(report_.maxLogitError, largestError(got, want));
    }

    const model::Model& exact_;
    const model::Model& fast_;
    std::vector<model::AdapterUse> exactUses_, fastUses_;
    platform::Team& team_;
    ProductionReport& report_;
};

void nameRounding(const model::Model& fast, ProductionReport& report) {
    const auto has = [&](kernels::Activation activation) {
        const auto i = static_cast<size_t>(activation);
        return fast.footprint.operations[i] + fast.footprint.headOperations[i] > 0;
    };
    report.rounded = has(kernels::Activation::Int8)     ? "int8"
                     : has(kernels::Activation::BF16)   ? "bf16"
                     : has(kernels::Activation::Int8x2) ? "int8x2"
                                                        : "f16 kv";
    const bool fine = has(kernels::Activation::BF16) || has(kernels::Activation::Int8x2);
    report.mostLogitError = has(kernels::Activation::Int8) ? kMostInt8Error
                            : fine                         ? kMostBf16Error
                                                           : kMostHalfKvError;
}

}  // namespace

Result<ProductionReport> checkProduction(const ProductionOptions& options) {
    const CheckOptions& asked = options.check;
    if (const size_t most = platform::availableThreads(); asked.threads > most)
        return Error{
            Code::TooManyThreads, "", "--threads", {std::to_string(asked.threads), std::to_string(most)}};
    model::LoadOptions how = asked.load;
    how.progress = asked.progress;
    how.threads = asked.threads;
    how.maxRows = kRows;
    if (how.kernels == nullptr) {
        CONCLAVE_TRY(how.kernels, kernels::selectKernels(""));
    }
    how.activations = model::ActivationChoice::Exact;
    how.kv = kernels::KvType::F32;
    CONCLAVE_TRY(const Subject exactly, load(asked, how));
    how.activations = options.activations;
    how.kv = kernels::KvType::F16;
    CONCLAVE_TRY(const Subject fast, load(asked, how));
    const auto& exact = exactly.loaded;

    ProductionReport report;
    report.model = asked.model;
    report.kernels = std::string(how.kernels->name);
    report.golden = options.text.empty();
    report.warnings = exact->model->config.warnings;
    nameRounding(*fast.loaded->model, report);
    report.adapter = asked.adapter;
    if (exactly.adapter) {
        report.adapted = exactly.adapter->counts;
        std::ranges::move(library::warningsOf(asked.adapter, exactly.adapter->changesNothing),
                          std::back_inserter(report.warnings));
    }

    Golden golden;
    std::vector<TokenId> tokens;
    std::vector<Sequence> sequences;
    if (report.golden) {
        CONCLAVE_TRY(golden,
                     readGolden(goldenFolder(asked.golden, exactly.adapter ? asked.adapter : asked.model),
                                exact->model->config));
        for (const GoldenPrompt& prompt : golden.prompts)
            sequences.push_back({prompt.ids, &prompt});
    } else {
        CONCLAVE_TRY(tokens, textTokens(options.text, options.tokens, *exact));
        const size_t window = std::min(kWindow, exact->model->config.context);
        for (size_t at = 0; at < tokens.size(); at += window)
            sequences.push_back(
                {std::span(tokens).subspan(at, std::min(window, tokens.size() - at)), nullptr});
    }
    platform::Team team(asked.threads > 0 ? asked.threads : platform::defaultThreads());
    Comparison comparison(exactly, fast, team, report);
    for (const Sequence& sequence : sequences) {
        if (asked.progress) asked.progress("compare", report.prompts, sequences.size());
        CONCLAVE_TRY_VOID(comparison.run(sequence));
    }
    const auto positions = static_cast<double>(report.positions);
    report.forced.meanKl /= positions;
    report.free.meanKl /= positions;
    report.pass = report.golden
                      ? report.maxLogitError <= report.mostLogitError
                      : report.forced.meanKl <= kMostTextKl &&
                            static_cast<double>(report.forced.sameBest) >= kLeastSameBest * positions;
    return report;
}

nlohmann::json toJson(const ProductionReport& report) {
    const auto number = [](double value) {
        return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(nullptr);
    };
    nlohmann::json out{
        {"model", report.model},
        {"mode", "production"},
        {"kernels", report.kernels},
        {"rounded", report.rounded},
        {"prompts", report.prompts},
        {"positions", report.positions},
        {"max_logit_error", report.golden ? number(report.maxLogitError) : nlohmann::json(nullptr)},
        {"most_logit_error", report.mostLogitError},
        {"mean_kl", number(report.forced.meanKl)},
        {"same_best", report.forced.sameBest},
        {"free_mean_kl", number(report.free.meanKl)},
        {"free_same_best", report.free.sameBest},
        {"pass", report.pass}};
    if (report.adapter.empty()) return out;
    out["adapter"] = report.adapter;
    out["adapter_pairs"] = report.adapted.pairs;
    out["adapter_matrices"] = report.adapted.matrices;
    return out;
}

}  // namespace conclave::engine::offline
