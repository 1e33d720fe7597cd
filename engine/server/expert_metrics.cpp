#include "engine/server/expert_metrics.h"

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "engine/protocol/experts.h"

namespace conclave::engine::server {
namespace {

using protocol::MetricsText;
using scheduler::LayerLoad;
using scheduler::LoadFigures;
using Type = MetricsText::Type;

struct ModelWindow {
    std::string model;
    scheduler::ExpertWindow window;
};

/// One value of every layer where something was chosen.
void writeLayers(MetricsText& out, const std::vector<ModelWindow>& windows, std::string_view name,
                 std::string_view help, const std::function<double(const LayerLoad&)>& value) {
    out.family(name, Type::Gauge, help);
    for (const ModelWindow& entry : windows)
        for (const LayerLoad& layer : entry.window.layers)
            if (layer.load)
                out.sample({{"model", entry.model}, {"layer", std::to_string(layer.layer)}}, value(layer));
}

void writeFigure(MetricsText& out, const std::vector<ModelWindow>& windows, const std::string& name,
                 std::string_view help, double LoadFigures::*figure) {
    writeLayers(out, windows, name, help, [figure](const LayerLoad& layer) { return *layer.load.*figure; });
    writeLayers(out, windows, name + "_floor", "The same of a router without preference: noise.",
                [figure](const LayerLoad& layer) { return *layer.floor.*figure; });
}

double topShare(const LayerLoad& layer) {
    return static_cast<double>(*std::ranges::max_element(layer.counts)) / static_cast<double>(layer.picks);
}

std::vector<ModelWindow> windowsOf(const Context& context) {
    std::vector<ModelWindow> out;
    for (const library::ModelEntry& entry : context.library.list())
        if (const auto model = entry.loaded ? context.library.loaded(entry.name) : nullptr;
            model != nullptr && model->model->config.experts > 0)
            out.push_back(
                {model->name, context.scheduler.experts(*model, {.tokens = protocol::kExpertWindow})});
    return out;
}

}  // namespace

void writeExperts(MetricsText& out, const Context& context) {
    const std::vector<ModelWindow> windows = windowsOf(context);
    out.single("conclave_expert_counting_seconds_total", Type::Counter,
               "Time of steps that was spent on counting chosen experts.",
               static_cast<double>(context.scheduler.metrics().countingNanoseconds.load()) * 1e-9);
    out.family("conclave_expert_window_tokens", Type::Gauge,
               "Routed tokens that the figures of experts are about.");
    for (const ModelWindow& entry : windows)
        out.sample({{"model", entry.model}}, entry.window.tokens);
    out.family("conclave_expert_worst_layer", Type::Gauge, "Number of the layer with the largest max_vio.");
    for (const ModelWindow& entry : windows)
        if (const auto worst = entry.window.worstLayer())
            out.sample({{"model", entry.model}}, uint64_t{*worst});
    writeLayers(out, windows, "conclave_expert_top_share", "Share of a layer's load on its busiest expert.",
                topShare);
    writeFigure(out, windows, "conclave_expert_max_vio", "Load of the busiest expert over the mean, minus 1.",
                &LoadFigures::maxVio);
    writeFigure(out, windows, "conclave_expert_cv", "Standard deviation of the loads over their mean.",
                &LoadFigures::cv);
    writeFigure(out, windows, "conclave_expert_entropy",
                "Entropy of the loads over that of an even one: 1 = even.", &LoadFigures::entropy);
    writeFigure(out, windows, "conclave_expert_dead", "Experts with less than a twentieth of the mean load.",
                &LoadFigures::dead);
}

}  // namespace conclave::engine::server
