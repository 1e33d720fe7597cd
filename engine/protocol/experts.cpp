#include "engine/protocol/experts.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "engine/protocol/counts.h"
#include "engine/protocol/query.h"

namespace conclave::engine::protocol {
namespace {

using base::Code;
using base::Error;

constexpr QueryField kQuery[] = {{"model", QueryKind::Text},     {"conversation", QueryKind::Text},
                                 {"adapter", QueryKind::Text},   {"tokens", QueryKind::Number},
                                 {"seconds", QueryKind::Number}, {"stream", QueryKind::Flag},
                                 {"every", QueryKind::Number}};

/// Six digits after the point: more would be noise, and a third of the answer.
double rounded(double value) {
    return std::round(value * 1e6) / 1e6;
}

Json figuresJson(const std::optional<ExpertFigures>& figures) {
    const auto value = [&](double ExpertFigures::*figure) {
        return figures ? Json(rounded(*figures.*figure)) : Json(nullptr);
    };
    return {{"max_vio", value(&ExpertFigures::maxVio)},
            {"cv", value(&ExpertFigures::cv)},
            {"entropy", value(&ExpertFigures::entropy)},
            {"dead", value(&ExpertFigures::dead)}};
}

Json layerJson(const ExpertLayer& layer) {
    const auto picks =
        static_cast<double>(std::accumulate(layer.counts.begin(), layer.counts.end(), uint64_t{0}));
    Json out = {{"layer", layer.layer}};
    out.update(figuresJson(layer.load));
    out["floor"] = figuresJson(layer.floor);
    out["counts"] = layer.counts;
    Json& shares = out["shares"] = Json::array();
    for (const uint32_t count : layer.counts)
        shares.push_back(picks > 0 ? rounded(count / picks) : 0.0);
    return out;
}

/// Nothing where nothing was chosen.
std::optional<ExpertFigures> readFigures(Fields& fields) {
    constexpr double kMost = std::numeric_limits<double>::max();
    const auto busiest = fields.number("max_vio", -1, kMost);
    if (!busiest) return std::nullopt;
    return ExpertFigures{.maxVio = *busiest,
                         .cv = fields.number("cv", 0, kMost).value_or(0),
                         .entropy = fields.number("entropy", 0, kMost).value_or(0),
                         .dead = fields.number("dead", 0, kMost).value_or(0)};
}

std::optional<ExpertLayer> readLayer(const Json& json, uint32_t experts) {
    Fields fields(json);
    ExpertLayer out;
    out.layer = count32(fields, "layer");
    out.load = readFigures(fields);
    if (const Json* floor = fields.object("floor")) {
        Fields inner(*floor);
        out.floor = readFigures(inner);
    }
    const Json* counts = fields.array("counts");
    if (counts == nullptr || counts->size() != experts || out.load.has_value() != out.floor.has_value())
        return std::nullopt;  // who draws the load sets it beside its floor
    out.counts.reserve(experts);
    for (const Json& count : *counts) {
        if (!count.is_number_unsigned()) return std::nullopt;
        out.counts.push_back(count.get<uint32_t>());
    }
    return out;
}

}  // namespace

std::string readConversation(Fields& fields) {
    constexpr size_t kMost = 64;
    const auto text = fields.text("conversation");
    if (!text) return {};
    const bool good = !text->empty() && text->size() <= kMost &&
                      std::ranges::all_of(*text, [](char c) { return c >= ' ' && c <= '~'; });
    if (!good) fields.refuse("conversation", "1 to 64 printable ASCII characters");
    return *text;
}

base::Result<ExpertsQuery> readExpertsQuery(std::string_view query) {
    constexpr int64_t kMostTokens = 1'000'000'000, kMostSeconds = 604'800;
    CONCLAVE_TRY(const Json json, parseQuery(query, kQuery));
    Fields fields(json);
    ExpertsQuery out;
    out.model = fields.text("model").value_or("");
    if (std::string name = readConversation(fields); !name.empty()) out.conversation = std::move(name);
    out.adapter = fields.text("adapter");
    if (const auto tokens = fields.integer("tokens", 1, kMostTokens))
        out.tokens = static_cast<uint64_t>(*tokens);
    if (const auto seconds = fields.integer("seconds", 1, kMostSeconds))
        out.seconds = static_cast<uint32_t>(*seconds);
    out.stream = fields.boolean("stream").value_or(false);
    const auto every = fields.number("every", 0.1, 60);
    out.everySeconds = every.value_or(1);
    if (every && !out.stream) fields.fail({Code::BadArgument, {}, "every", {"goes with stream=true"}});
    if (fields.error()) return *fields.error();
    if (!out.tokens && !out.seconds) out.tokens = kExpertWindow;
    return out;
}

std::string expertsTarget(const ExpertsQuery& query) {
    Json fields = Json::object();
    if (!query.model.empty()) fields["model"] = query.model;
    if (query.conversation) fields["conversation"] = *query.conversation;
    if (query.adapter) fields["adapter"] = *query.adapter;
    if (query.tokens) fields["tokens"] = *query.tokens;
    if (query.seconds) fields["seconds"] = *query.seconds;
    if (query.stream) fields["stream"] = true;
    if (query.stream) fields["every"] = query.everySeconds;
    const std::string text = queryText(fields);
    return "/conclave/v1/experts" + (text.empty() ? text : "?" + text);
}

std::string toText(const ExpertsSnapshot& snapshot) {
    Json layers = Json::array();
    for (const ExpertLayer& layer : snapshot.layers)
        layers.push_back(layerJson(layer));
    return dump({{"object", "experts"},
                 {"model", snapshot.model},
                 {"experts", snapshot.experts},
                 {"chosen", snapshot.chosen},
                 {"window", {{"tokens", snapshot.tokens}, {"seconds", rounded(snapshot.seconds)}}},
                 {"worst_layer", snapshot.worstLayer ? Json(*snapshot.worstLayer) : Json(nullptr)},
                 {"layers", std::move(layers)}});
}

base::Result<ExpertsSnapshot> readExpertsSnapshot(std::string_view body) {
    const auto unexpected = [](const char* what) { return Error{Code::EngineProtocol, {}, {}, {what}}; };
    CONCLAVE_TRY(const Json json, parseBody(body));
    Fields fields(json);
    ExpertsSnapshot out;
    out.model = fields.text("model").value_or("");
    out.experts = count32(fields, "experts");
    out.chosen = count32(fields, "chosen");
    if (fields.has("worst_layer")) out.worstLayer = count32(fields, "worst_layer");
    if (const Json* window = fields.object("window")) {
        Fields inner(*window);
        out.tokens = count(inner, "tokens");
        out.seconds = inner.number("seconds", 0, std::numeric_limits<double>::max()).value_or(0);
    }
    const Json* layers = fields.array("layers");
    if (layers == nullptr || fields.error()) return unexpected("no layers among the experts");
    out.layers.reserve(layers->size());
    for (const Json& item : *layers) {
        auto layer = item.is_object() ? readLayer(item, out.experts) : std::nullopt;
        if (!layer) return unexpected("a layer without a count for each of its experts");
        out.layers.push_back(*std::move(layer));
    }
    return out;
}

}  // namespace conclave::engine::protocol
