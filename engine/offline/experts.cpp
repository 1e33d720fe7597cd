#include "engine/offline/experts.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <utility>

#include "engine/library/library.h"
#include "engine/offline/runner.h"
#include "engine/text/tokenizer.h"

namespace conclave::engine::offline {
namespace {

using base::Code;
using base::Error;
using base::Result;
using base::TokenId;
using Tokens = std::vector<TokenId>;

Result<void> checkOptions(const ExpertsOptions& options) {
    if (const size_t most = platform::availableThreads(); options.threads > most)
        return Error{
            Code::TooManyThreads, "", "--threads", {std::to_string(options.threads), std::to_string(most)}};
    if (!(options.carry > 0 && options.carry <= 1))
        return Error{
            Code::OutOfRange, "", "--carry", {std::to_string(options.carry), "above 0 and at most 1"}};
    if (options.context == 1) return Error{Code::OutOfRange, "", "--context", {"1", "at least 2"}};
    return {};
}

/// The tokens of each text, and what the vocabulary puts before a text.
struct Encoded {
    Tokens begin;
    std::vector<Tokens> texts;
    uint64_t tokens = 0;
};

Result<Encoded> encode(const TextSource& source, const text::Tokenizer& tokenizer) {
    Encoded out;
    CONCLAVE_TRY(out.begin, tokenizer.encode("", false, text::AddBos::IfWanted));
    for (const std::string& content : source.texts) {
        CONCLAVE_TRY(Tokens tokens, tokenizer.encode(content, false, text::AddBos::No));
        out.tokens += tokens.size();
        out.texts.push_back(std::move(tokens));
    }
    return out;
}

class Reading {
  public:
    Reading(const model::Model& model, const ExpertsOptions& options, uint32_t piece)
        : model_(model), options_(options), piece_(piece),
          team_(options.threads > 0 ? options.threads : platform::defaultThreads()) {}

    Result<TextExperts> run(const TextSource& source, const text::Tokenizer& tokenizer) {
        CONCLAVE_TRY(const Encoded encoded, encode(source, tokenizer));
        TextExperts out{.name = source.name, .files = source.texts.size(), .skipped = source.skipped};
        model::ExpertCounts counts(model_.config);
        if (piece_ <= encoded.begin.size())
            return Error{Code::ContextExceeded, {}, {}, {"2", std::to_string(piece_)}};
        const size_t step = piece_ - encoded.begin.size();
        for (const Tokens& text : encoded.texts)
            for (size_t at = 0; at < text.size(); at += step) {
                const auto tokens = std::span(text).subspan(at, std::min(step, text.size() - at));
                CONCLAVE_TRY_VOID(readPiece(encoded.begin, tokens, counts));
                ++out.pieces;
                out.tokens += tokens.size();
                if (options_.progress) options_.progress(source.name, out.tokens, encoded.tokens);
            }
        out.layers = model::loadOf(counts, model::layersWithExperts(model_.config), out.tokens);
        return out;
    }

  private:
    Result<void> readPiece(const Tokens& begin, std::span<const TokenId> tokens,
                           model::ExpertCounts& counts) {
        CONCLAVE_TRY(Runner runner, Runner::make(model_, team_, begin.size() + tokens.size()));
        if (!begin.empty()) runner.feed(begin, model::Slice::Logits::None, nullptr);
        for (size_t at = 0; at < tokens.size(); at += model_.maxRows)
            runner.feed(tokens.subspan(at, std::min<size_t>(model_.maxRows, tokens.size() - at)),
                        model::Slice::Logits::None, nullptr, &counts);
        return {};
    }

    const model::Model& model_;
    const ExpertsOptions& options_;
    const uint32_t piece_;
    platform::Team team_;
};

LayerAdvice adviceOf(const model::LayerLoad& layer, double carry) {
    LayerAdvice out;
    out.layer = layer.layer;
    out.tune = model::expertsThatCarry(layer.counts, carry);
    for (const uint32_t expert : out.tune)
        out.carried += static_cast<double>(layer.counts[expert]) / static_cast<double>(layer.picks);
    out.freeze = model::hardlyUsed(layer.counts);
    return out;
}

/// Where chance alone leaves experts unused, the list of those to freeze says little.
void warnOfShortText(const TextExperts& text, ExpertsReport& report) {
    double most = 0;
    for (const model::LayerLoad& layer : text.layers)
        if (layer.floor) most = std::max(most, layer.floor->dead);
    if (most < 0.5) return;
    report.warnings.push_back(text.name + ": " + std::to_string(text.tokens) + " tokens are few: of " +
                              std::to_string(report.experts) +
                              " experts a router without preference would leave about " +
                              std::to_string(std::lround(most)) + " unused");
}

nlohmann::ordered_json figuresJson(const std::optional<model::LoadFigures>& figures) {
    const auto value = [&](double model::LoadFigures::*figure) {
        return figures ? nlohmann::ordered_json(*figures.*figure) : nlohmann::ordered_json(nullptr);
    };
    return {{"max_vio", value(&model::LoadFigures::maxVio)},
            {"cv", value(&model::LoadFigures::cv)},
            {"entropy", value(&model::LoadFigures::entropy)},
            {"dead", value(&model::LoadFigures::dead)}};
}

nlohmann::ordered_json textJson(const TextExperts& text) {
    nlohmann::ordered_json out = {{"name", text.name},
                                  {"files", text.files},
                                  {"skipped", text.skipped},
                                  {"tokens", text.tokens},
                                  {"pieces", text.pieces},
                                  {"worst_layer", nullptr},
                                  {"layers", nlohmann::ordered_json::array()}};
    if (const auto* worst = model::worstLayer(text.layers)) out["worst_layer"] = worst->layer;
    for (const model::LayerLoad& layer : text.layers) {
        nlohmann::ordered_json one = {{"layer", layer.layer}};
        one.update(figuresJson(layer.load));
        one["floor"] = figuresJson(layer.floor);
        one["counts"] = layer.counts;
        nlohmann::ordered_json& shares = one["shares"] = nlohmann::ordered_json::array();
        for (const uint32_t count : layer.counts)
            shares.push_back(layer.picks > 0 ? count / static_cast<double>(layer.picks) : 0.0);
        out["layers"].push_back(std::move(one));
    }
    return out;
}

}  // namespace

Result<ExpertsReport> experts(const ExpertsOptions& options) {
    CONCLAVE_TRY_VOID(checkOptions(options));
    model::LoadOptions load = options.load;
    load.progress = options.progress;
    load.threads = options.threads;
    if (load.kernels == nullptr) {
        CONCLAVE_TRY(load.kernels, kernels::selectKernels(""));
    }
    CONCLAVE_TRY(const auto loaded, library::loadPath(options.model, "", load));
    const model::ModelConfig& config = loaded->model->config;
    if (config.experts == 0)
        return Error{Code::BadArgument, {}, options.model, {"is a dense model: it has no experts"}};
    if (loaded->tokenizer == nullptr)
        return Error{Code::BadArgument, {}, options.model, {"has no tokenizer to read a text with"}};

    ExpertsReport report;
    report.model = options.model;
    report.kernels = std::string(load.kernels->name);
    report.experts = config.experts;
    report.chosen = config.chosenExperts;
    report.piece = std::min(options.context > 0 ? options.context : kExpertPiece, config.context);
    report.carry = options.carry;
    report.warnings = loaded->warnings;
    Reading reading(*loaded->model, options, report.piece);
    CONCLAVE_TRY(report.text, reading.run(options.text, *loaded->tokenizer));
    warnOfShortText(report.text, report);
    for (const model::LayerLoad& layer : report.text.layers)
        report.advice.push_back(adviceOf(layer, options.carry));
    if (!options.compare) return report;
    CONCLAVE_TRY(report.compare, reading.run(*options.compare, *loaded->tokenizer));
    warnOfShortText(*report.compare, report);
    report.top = std::max(config.chosenExperts, config.experts / 8);
    for (size_t i = 0; i < report.text.layers.size(); ++i) {
        const model::LayerLoad &a = report.text.layers[i], &b = report.compare->layers[i];
        report.overlap.push_back({a.layer, model::commonLoad(a.counts, b.counts),
                                  model::commonTop(a.counts, b.counts, report.top)});
    }
    return report;
}

nlohmann::ordered_json toJson(const ExpertsReport& report) {
    nlohmann::ordered_json out = {{"model", report.model},     {"kernels", report.kernels},
                                  {"experts", report.experts}, {"chosen", report.chosen},
                                  {"piece", report.piece},     {"text", textJson(report.text)}};
    if (report.compare) {
        out["compare"] = textJson(*report.compare);
        out["top"] = report.top;
        for (const LayerOverlap& layer : report.overlap)
            out["overlap"].push_back({{"layer", layer.layer}, {"load", layer.load}, {"top", layer.top}});
    }
    out["carry"] = report.carry;
    for (const LayerAdvice& layer : report.advice) {
        out["tune"].push_back({{"layer", layer.layer}, {"carried", layer.carried}, {"experts", layer.tune}});
        out["freeze"].push_back({{"layer", layer.layer}, {"experts", layer.freeze}});
    }
    out["warnings"] = report.warnings;
    return out;
}

}  // namespace conclave::engine::offline
