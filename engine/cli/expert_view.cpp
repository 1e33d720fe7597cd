#include "engine/cli/expert_view.h"

#include <cstdio>
#include <numeric>
#include <optional>
#include <string>

#include "engine/cli/terminal.h"
#include "engine/offline/expert_map.h"

namespace conclave::engine::cli {
namespace {

std::optional<model::LoadFigures> figuresOf(const std::optional<protocol::ExpertFigures>& sent) {
    if (!sent) return std::nullopt;
    return model::LoadFigures{sent->maxVio, sent->cv, sent->entropy, sent->dead};
}

}  // namespace

void printExpertLoad(const offline::TextExperts& text, uint32_t experts) {
    const model::LayerLoad* worst = model::worstLayer(text.layers);
    if (worst != nullptr) {
        const auto line = [](const char* name, const model::LoadFigures& figures) {
            std::printf("%s MaxVio %.2f, cv %.2f, entropy %.3f, dead %.0f\n", name, figures.maxVio,
                        figures.cv, figures.entropy, figures.dead);
        };
        line("even router  ", *worst->floor);
        line(("worst layer   " + std::to_string(worst->layer) + ":").c_str(), *worst->load);
    }
    const auto colour = stdoutIsTerminal() ? offline::Colour::Yes : offline::Colour::No;
    std::fputs(offline::heatMap(text, experts, colour).c_str(), stdout);
}

void printSnapshot(const protocol::ExpertsSnapshot& snapshot) {
    std::printf("model         %s, %u of %u experts for each token\n", snapshot.model.c_str(),
                snapshot.chosen, snapshot.experts);
    if (snapshot.tokens == 0) {
        std::puts("requests      none yet whose tokens were routed");
        return;
    }
    std::printf("requests      %llu tokens, the oldest %.0f s ago\n",
                static_cast<unsigned long long>(snapshot.tokens), snapshot.seconds);
    offline::TextExperts text;
    text.tokens = snapshot.tokens;
    text.layers.reserve(snapshot.layers.size());
    for (const protocol::ExpertLayer& layer : snapshot.layers)
        text.layers.push_back(
            {.layer = layer.layer,
             .counts = layer.counts,
             .picks = std::accumulate(layer.counts.begin(), layer.counts.end(), uint64_t{0}),
             .load = figuresOf(layer.load),
             .floor = figuresOf(layer.floor)});
    printExpertLoad(text, snapshot.experts);
}

}  // namespace conclave::engine::cli
