#include "engine/offline/check.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "engine/formats/gguf.h"
#include "engine/formats/hf_folder.h"
#include "engine/formats/tokenizer_spec.h"
#include "engine/kernels/kernels.h"
#include "engine/library/adapter_facts.h"
#include "engine/offline/golden.h"
#include "engine/offline/runner.h"
#include "engine/platform/file.h"
#include "engine/platform/memory.h"
#include "engine/platform/team.h"
#include "engine/synth/synth.h"
#include "engine/text/tokenizer.h"

namespace conclave::engine::offline {
namespace {

using base::Code;
using base::Error;
using base::Result;
using base::TokenId;

/// What `check` needs of a model, from a folder or from a file.
struct Opened {
    std::shared_ptr<const model::Model> model;
    std::optional<text::Tokenizer> tokenizer;
};

Result<std::optional<text::Tokenizer>> tokenizerOf(const formats::HfFolder& folder) {
    if (folder.tokenizerPath.empty()) return std::optional<text::Tokenizer>();
    const std::string config = folder.path + "/tokenizer_config.json";
    const bool has = platform::pathKind(config) == platform::PathKind::Regular;
    CONCLAVE_TRY(
        formats::TokenizerSpec spec,
        formats::readTokenizerJson(folder.tokenizerPath, has ? std::optional(config) : std::nullopt));
    CONCLAVE_TRY(text::Tokenizer tokenizer, text::Tokenizer::make(std::move(spec)));
    return std::optional<text::Tokenizer>(std::move(tokenizer));
}

Result<std::optional<text::Tokenizer>> tokenizerOf(const formats::GgufFile& file) {
    if (!file.has("tokenizer.ggml.tokens")) return std::optional<text::Tokenizer>();
    CONCLAVE_TRY(formats::TokenizerSpec spec, formats::readGgufVocabulary(file));
    CONCLAVE_TRY(text::Tokenizer tokenizer, text::Tokenizer::make(std::move(spec)));
    return std::optional<text::Tokenizer>(std::move(tokenizer));
}

template <class Source>
Result<Opened> openSource(const Source& source, const model::ModelConfig& config, const std::string& path,
                          const model::LoadOptions& options) {
    Opened out;
    CONCLAVE_TRY(out.tokenizer, tokenizerOf(source));
    if (out.tokenizer && out.tokenizer->size() > config.vocabulary)
        return Error{Code::VocabularyMismatch,
                     path,
                     "",
                     {std::to_string(out.tokenizer->size()), std::to_string(config.vocabulary)}};
    CONCLAVE_TRY(out.model, model::loadModel(source, options));
    return out;
}

Result<Opened> open(const CheckOptions& options) {
    model::LoadOptions load = options.load;
    load.threads = options.threads;
    if (options.progress) load.progress = options.progress;
    if (!synth::isSpec(options.model) && platform::pathKind(options.model) == platform::PathKind::Folder) {
        CONCLAVE_TRY(const formats::HfFolder folder,
                     formats::openHfFolder(options.model, formats::Weights::WithWeights));
        CONCLAVE_TRY(const model::ModelConfig config, model::configFromHf(folder));
        return openSource(folder, config, options.model, load);
    }
    CONCLAVE_TRY(const formats::GgufFile file, synth::openGguf(options.model));
    CONCLAVE_TRY(const model::ModelConfig config, model::configFromGguf(file));
    return openSource(file, config, options.model, load);
}

/// A trace that forces the golden experts of rows first … first + count - 1 where their margin is not clear.
model::RouteTrace forcing(const GoldenPrompt& prompt, size_t first, size_t count, uint32_t chosen) {
    model::RouteTrace trace;
    for (const GoldenPrompt::Routing& routing : prompt.routing) {
        model::RouteTrace::Layer& layer = trace.layers.emplace_back();
        layer.forced.assign(count * chosen, -1);
        for (size_t row = 0; row < count; ++row) {
            const int32_t* experts = routing.experts.data() + (first + row) * chosen;
            if (!(routing.margins[first + row] > kClearMargin))
                std::copy_n(experts, chosen, layer.forced.begin() + static_cast<ptrdiff_t>(row * chosen));
        }
    }
    return trace;
}

void compareRouting(const model::RouteTrace& trace, const GoldenPrompt& prompt, size_t first,
                    CheckReport& report) {
    for (size_t l = 0; l < prompt.routing.size(); ++l) {
        const model::RouteTrace::Layer& layer = trace.layers[l];
        CONCLAVE_CHECK(layer.layer == prompt.routing[l].layer);
        for (size_t row = 0; row * layer.chosen < layer.ids.size(); ++row) {
            if (layer.forced[row * layer.chosen] >= 0) {
                ++report.routingForced;
                continue;
            }
            const int32_t* golden = prompt.routing[l].experts.data() + (first + row) * layer.chosen;
            ++report.routingTotal;
            report.routingAgree +=
                std::is_permutation(golden, golden + layer.chosen,
                                    layer.ids.begin() + static_cast<ptrdiff_t>(row * layer.chosen));
        }
    }
}

/// The token of the best logit, the lower one among equals.
TokenId best(std::span<const float> logits) {
    return TokenId{static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin())};
}

Result<void> runPrompt(const model::Model& model, const model::Adapter* adapter, platform::Team& team,
                       const GoldenPrompt& prompt, CheckReport& report) {
    const uint32_t vocabulary = model.config.vocabulary;
    std::vector<model::AdapterUse> uses;
    if (adapter != nullptr) uses.push_back({adapter});
    CONCLAVE_TRY(Runner runner,
                 Runner::make(model, team, prompt.ids.size() + prompt.greedy.size(), std::move(uses)));
    std::vector<float> logits;
    for (size_t first = 0; first < prompt.ids.size(); first += model.maxRows) {
        const size_t count = std::min<size_t>(model.maxRows, prompt.ids.size() - first);
        model::RouteTrace trace = forcing(prompt, first, count, model.config.chosenExperts);
        logits = runner.feed(std::span(prompt.ids).subspan(first, count), model::Slice::Logits::All, &trace);
        report.maxLogitError =
            std::max(report.maxLogitError, largestError(logits, prompt.logits.data() + first * vocabulary));
        compareRouting(trace, prompt, first, report);
    }
    for (size_t step = 0; step < prompt.greedy.size() && prompt.gaps[step] >= kClearGap; ++step) {
        ++report.greedyTotal;
        report.greedyAgree += best(std::span(logits).last(vocabulary)) == prompt.greedy[step];
        logits = runner.feed({&prompt.greedy[step], 1}, model::Slice::Logits::Last, nullptr);
    }
    return {};
}

/// Every prompt and its greedy tokens must fit into what the options allow.
Result<void> checkFits(const Golden& golden, const model::Model& model, const CheckOptions& options) {
    size_t most = 0;
    for (const GoldenPrompt& prompt : golden.prompts)
        most = std::max(most, prompt.ids.size() + prompt.greedy.size());
    const auto tooLittle = [](const char* flag, uint64_t given, const std::string& needed) {
        return Error{Code::OutOfRange,
                     {},
                     flag,
                     {std::to_string(given),
                      "at least " + needed + ", what the longest golden prompt and its greedy tokens take"}};
    };
    if (options.context > 0 && options.context < most)
        return tooLittle("--context", options.context, std::to_string(most) + " tokens");
    const uint64_t bytes = Runner::pagesFor(most) * model.kv.pageBytes;
    if (options.kvBytes > 0 && options.kvBytes < bytes)
        return tooLittle("--kv-memory", options.kvBytes, std::to_string(bytes) + " bytes");
    return {};
}

/// Whether the model's tokenizer gives the golden ids; templates' control tokens count as such.
bool sameTokens(const text::Tokenizer& tokenizer, const GoldenPrompt& prompt) {
    const auto ids = tokenizer.encode(prompt.text, true, text::AddBos::IfWanted);
    return ids.ok() && ids.value() == prompt.ids;
}

std::string modeOf(const model::LoadOptions& load) {
    const bool f32 = load.kv == kernels::KvType::F32;
    if (load.activations == model::ActivationChoice::Exact && f32) return "exact";
    return std::string(model::nameOf(load.activations)) + (f32 ? "/f32" : "/f16");
}

}  // namespace

Result<CheckReport> check(const CheckOptions& options) {
    if (const size_t most = platform::availableThreads(); options.threads > most)
        return Error{
            Code::TooManyThreads, "", "--threads", {std::to_string(options.threads), std::to_string(most)}};
    CheckOptions chosen = options;
    if (chosen.load.kernels == nullptr) {
        CONCLAVE_TRY(chosen.load.kernels, kernels::selectKernels(""));
    }
    CONCLAVE_TRY(const Opened opened, open(chosen));
    const model::Model& model = *opened.model;
    std::shared_ptr<const model::Adapter> adapter;
    if (!options.adapter.empty()) {
        CONCLAVE_TRY(const formats::AdapterFile file, formats::openAdapter(options.adapter));
        CONCLAVE_TRY(adapter, model::loadAdapter(file, model));
    }
    const std::string& beside = adapter ? options.adapter : options.model;
    CONCLAVE_TRY(const Golden golden, readGolden(goldenFolder(options.golden, beside), model.config));

    CONCLAVE_TRY_VOID(checkFits(golden, model, options));

    CheckReport report;
    report.model = options.model;
    report.mode = modeOf(options.load);
    report.kernels = std::string(chosen.load.kernels->name);
    report.adapter = options.adapter;
    report.warnings = model.config.warnings;
    if (adapter) {
        report.adapted = adapter->counts;
        std::ranges::move(library::warningsOf(options.adapter, adapter->changesNothing),
                          std::back_inserter(report.warnings));
    }
    platform::Team team(options.threads > 0 ? options.threads : platform::defaultThreads());
    for (const GoldenPrompt& prompt : golden.prompts) {
        if (options.progress) options.progress("check prompts", report.prompts, golden.prompts.size());
        CONCLAVE_TRY_VOID(runPrompt(model, adapter.get(), team, prompt, report));
        ++report.prompts;
        if (opened.tokenizer) {
            ++report.tokensTotal;
            report.tokensAgree += sameTokens(*opened.tokenizer, prompt);
        }
    }
    if (report.tokensAgree < report.tokensTotal)
        report.warnings.push_back("the tokenizer gives other tokens than the golden files for " +
                                  std::to_string(report.tokensTotal - report.tokensAgree) + " of " +
                                  std::to_string(report.tokensTotal) + " prompts");
    report.pass = report.maxLogitError <= kMostLogitError && report.routingAgree == report.routingTotal &&
                  report.greedyAgree == report.greedyTotal;
    return report;
}

nlohmann::json toJson(const CheckReport& report) {
    nlohmann::json out{{"model", report.model},
                       {"mode", report.mode},
                       {"kernels", report.kernels},
                       {"prompts", report.prompts},
                       {"max_logit_error", std::isfinite(report.maxLogitError)
                                               ? nlohmann::json(report.maxLogitError)
                                               : nlohmann::json(nullptr)},
                       {"routing_agree", report.routingAgree},
                       {"routing_forced", report.routingForced},
                       {"routing_total", report.routingTotal},
                       {"greedy_agree", report.greedyAgree},
                       {"greedy_total", report.greedyTotal},
                       {"pass", report.pass}};
    if (report.adapter.empty()) return out;
    out["adapter"] = report.adapter;
    out["adapter_pairs"] = report.adapted.pairs;
    out["adapter_matrices"] = report.adapted.matrices;
    return out;
}

}  // namespace conclave::engine::offline
