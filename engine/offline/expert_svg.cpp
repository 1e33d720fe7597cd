// The heat map as a picture: SVG 1.1, plain rectangles and text, with a title on every cell for whoever
// points at it.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "engine/offline/expert_map.h"

namespace conclave::engine::offline {
namespace {

constexpr int kLeft = 56, kTop = 84, kRow = 16, kBetween = 70, kRight = 190;
/// Of heatOf: never (nearly black), then from a quarter of the even share (blue) over even (pale) to eight
/// times it (red).
constexpr std::array<const char*, kHeats> kFills = {"#05204a", "#2166ac", "#67a9cf", "#b3d4e6", "#f3efe6",
                                                    "#fdd49e", "#fc8d59", "#d7301f", "#7f0000"};

std::string number(double value, int digits) {
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "%.*f", digits, value);
    return text.data();
}

/// Text between tags; characters that XML cannot hold are left out.
std::string escaped(const std::string& text) {
    std::string out;
    for (const char c : text) {
        if (c == '<')
            out += "&lt;";
        else if (c == '&')
            out += "&amp;";
        else if (static_cast<unsigned char>(c) >= ' ')
            out += c;
    }
    return out;
}

class Picture {
  public:
    explicit Picture(const ExpertsReport& report)
        : report_(report), cell_(std::clamp(768.0 / report.experts, 3.0, 28.0)),
          layers_(static_cast<int>(report.text.layers.size())) {}

    std::string draw() {
        const double gridWidth = cell_ * report_.experts;
        const int grids = report_.compare ? 2 : 1;
        const double width = std::max(kLeft + gridWidth + kRight, 620.0);
        const int height = kTop + grids * (layers_ * kRow + kBetween) + 20;
        out_ = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + number(width, 0) + "\" height=\"" +
               std::to_string(height) + "\" font-family=\"sans-serif\" font-size=\"11\" fill=\"#222\">\n" +
               "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n";
        text(kLeft, 26, "Experts of " + report_.model, "font-size=\"16\" font-weight=\"bold\"");
        text(kLeft, 44,
             std::to_string(report_.chosen) + " of " + std::to_string(report_.experts) +
                 " experts for each token; the colour is the load beside an even share of the layer");
        double y = kTop;
        grid(report_.text, y, false);
        y += layers_ * kRow + kBetween;
        if (report_.compare) {
            grid(*report_.compare, y, true);
            y += layers_ * kRow + kBetween;
        }
        legend(y - 24);
        return out_ + "</svg>\n";
    }

  private:
    void text(double x, double y, const std::string& what, const std::string& attributes = "") {
        out_ += "<text x=\"" + number(x, 1) + "\" y=\"" + number(y, 1) + "\"" +
                (attributes.empty() ? "" : " " + attributes) + ">" + escaped(what) + "</text>\n";
    }

    void grid(const TextExperts& text, double top, bool compared) {
        this->text(kLeft, top - 8, text.name + ": " + std::to_string(text.tokens) + " tokens",
                   "font-weight=\"bold\"");
        const double right = kLeft + cell_ * report_.experts;
        this->text(right + 10, top - 8, "MaxVio");
        this->text(right + 60, top - 8, "dead");
        if (compared) this->text(right + 100, top - 8, "common load");
        for (size_t i = 0; i < text.layers.size(); ++i) {
            const double y = top + static_cast<double>(i) * kRow;
            row(text.layers[i], y);
            if (text.layers[i].load) {
                this->text(right + 10, y + 12, number(text.layers[i].load->maxVio, 2));
                this->text(right + 60, y + 12, number(text.layers[i].load->dead, 0));
            }
            if (compared) this->text(right + 100, y + 12, number(report_.overlap[i].load, 2));
        }
        this->text(kLeft, top + layers_ * kRow + 14, "expert 0");
        this->text(right, top + layers_ * kRow + 14, std::to_string(report_.experts - 1),
                   "text-anchor=\"end\"");
    }

    void row(const model::LayerLoad& layer, double y) {
        text(kLeft - 6, y + 12, std::to_string(layer.layer), "text-anchor=\"end\"");
        const double gap = cell_ > 6 ? 1 : 0.3;
        for (uint32_t expert = 0; expert < layer.counts.size(); ++expert) {
            const uint32_t count = layer.counts[expert];
            const double share = layer.picks > 0 ? count / static_cast<double>(layer.picks) : 0;
            out_ += "<rect x=\"" + number(kLeft + expert * cell_, 1) + "\" y=\"" + number(y, 0) +
                    "\" width=\"" + number(cell_ - gap, 1) + "\" height=\"" + std::to_string(kRow - 1) +
                    "\" fill=\"" + kFills[heatOf(count, layer.picks, report_.experts)] + "\"><title>layer " +
                    std::to_string(layer.layer) + ", expert " + std::to_string(expert) + ": " +
                    number(100 * share, 2) + " % of the load, " + number(share * report_.experts, 2) +
                    " times even</title></rect>\n";
        }
    }

    void legend(double y) {
        constexpr std::array<const char*, kHeats> kTexts = {"never", "< 1/4", "< 1/2", "< 4/5", "even",
                                                            "> 5/4", "> 2",   "> 4",   "> 8"};
        for (uint32_t heat = 0; heat < kHeats; ++heat) {
            const double x = kLeft + heat * 60.0;
            out_ += "<rect x=\"" + number(x, 0) + "\" y=\"" + number(y, 0) +
                    "\" width=\"12\" height=\"12\" fill=\"" + kFills[heat] +
                    "\" stroke=\"#999\" stroke-width=\"0.5\"/>\n";
            text(x + 16, y + 10, kTexts[heat]);
        }
    }

    const ExpertsReport& report_;
    const double cell_;
    const int layers_;
    std::string out_;
};

}  // namespace

std::string heatMapSvg(const ExpertsReport& report) {
    return Picture(report).draw();
}

}  // namespace conclave::engine::offline
