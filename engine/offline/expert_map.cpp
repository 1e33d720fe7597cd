#include "engine/offline/expert_map.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace conclave::engine::offline {
namespace {

constexpr uint32_t kWidth = 64;  // columns of a line that show experts
constexpr std::array<const char*, kHeats> kGlyphs = {"·", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
constexpr std::array<int, kHeats> kColours = {240, 25, 31, 37, 250, 186, 214, 208, 196};  // of 256

/// How experts become columns.
struct Columns {
    explicit Columns(uint32_t experts)
        : experts(experts), group((experts + kWidth - 1) / kWidth), count((experts + group - 1) / group),
          width(std::clamp(kWidth / count, 1u, 4u)), title("experts 0 to " + std::to_string(experts - 1)) {
        if (group > 1) title += ", each column the busiest of " + std::to_string(group);
        title.resize(std::max<size_t>(count * width, title.size()), ' ');
    }
    uint32_t experts, group, count, width;
    std::string title;  ///< as wide as the map, or wider
};

template <class... Values> std::string print(const char* form, Values... values) {
    std::array<char, 128> line{};
    const int length = std::snprintf(line.data(), line.size(), form, values...);
    return {line.data(), std::min(static_cast<size_t>(std::max(length, 0)), line.size() - 1)};
}

void addCell(std::string& out, uint32_t heat, uint32_t width, Colour colour) {
    if (colour == Colour::Yes) out += "\x1b[38;5;" + std::to_string(kColours[heat]) + "m";
    for (uint32_t i = 0; i < width; ++i)
        out += kGlyphs[heat];
    if (colour == Colour::Yes) out += "\x1b[0m";
}

std::string legend(Colour colour) {
    constexpr std::array<const char*, kHeats> kTexts = {" never", " < 1/4", " < 1/2", " < 4/5", " even",
                                                        " > 5/4", " > 2",   " > 4",   " > 8"};
    std::string out = "    ";
    for (uint32_t heat = 0; heat < kHeats; ++heat) {
        addCell(out, heat, 1, colour);
        out += kTexts[heat];
        out += heat + 1 < kHeats ? "  " : "\n";
    }
    return out;
}

}  // namespace

uint32_t heatOf(uint32_t count, uint64_t picks, uint32_t experts) {
    constexpr std::array<double, kHeats - 2> kBounds = {0.25, 0.5, 0.8, 1.25, 2, 4, 8};
    if (count == 0) return 0;
    const double times = static_cast<double>(count) * experts / static_cast<double>(picks);
    return 1 + static_cast<uint32_t>(std::ranges::upper_bound(kBounds, times) - kBounds.begin());
}

std::string heatMap(const TextExperts& text, uint32_t experts, Colour colour) {
    const Columns columns(experts);
    std::string out = "    " + columns.title + " MaxVio dead\n";
    for (const model::LayerLoad& layer : text.layers) {
        out += print("%3u ", layer.layer);
        for (uint32_t column = 0; column < columns.count; ++column) {
            const uint32_t first = column * columns.group,
                           last = std::min(first + columns.group, columns.experts);
            const uint32_t busiest =
                *std::max_element(layer.counts.begin() + first, layer.counts.begin() + last);
            addCell(out, heatOf(busiest, layer.picks, experts), columns.width, colour);
        }
        out.append(columns.title.size() - size_t{columns.count} * columns.width, ' ');
        out += layer.load ? print(" %6.2f %4.0f\n", layer.load->maxVio, layer.load->dead) : "      –    –\n";
    }
    return out + legend(colour);
}

}  // namespace conclave::engine::offline
