#include "engine/protocol/metrics_text.h"

#include <array>
#include <charconv>

#include "engine/base/utf8.h"

namespace conclave::engine::protocol {
namespace {

std::string shown(double value) {
    std::array<char, 32> digits{};
    const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), value);
    return {digits.data(), end};
}

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : base::replaceInvalidUtf8(std::string(text))) {
        if (c == '\n') {
            out += "\\n";
            continue;
        }
        if (c == '\\' || c == '"') out += '\\';
        out += c;
    }
    return out;
}

}  // namespace

void MetricsText::family(std::string_view name, Type type, std::string_view help) {
    constexpr std::string_view kTypes[] = {"counter", "gauge", "histogram"};
    name_ = name;
    text_.append("# HELP ").append(name).append(" ").append(help).append("\n# TYPE ").append(name);
    text_.append(" ").append(kTypes[static_cast<size_t>(type)]).append("\n");
}

void MetricsText::line(std::string_view suffix, const Labels& labels, std::string_view value) {
    text_.append(name_).append(suffix);
    char before = '{';
    for (const auto& [name, content] : labels) {
        text_ += before;
        text_.append(name).append("=\"").append(escaped(content)).append("\"");
        before = ',';
    }
    if (!labels.empty()) text_ += '}';
    text_.append(" ").append(value).append("\n");
}

void MetricsText::sample(const Labels& labels, double value) {
    line("", labels, shown(value));
}

void MetricsText::sample(const Labels& labels, uint64_t value) {
    line("", labels, std::to_string(value));
}

void MetricsText::histogram(const Labels& labels, std::span<const double> bounds,
                            std::span<const uint64_t> counts, double sum) {
    uint64_t below = 0;
    for (size_t i = 0; i < counts.size(); ++i) {
        below += counts[i];
        const std::string bound = i < bounds.size() ? shown(bounds[i]) : "+Inf";
        Labels all = labels;
        all.emplace_back("le", bound);
        line("_bucket", all, std::to_string(below));
    }
    line("_sum", labels, shown(sum));
    line("_count", labels, std::to_string(below));
}

}  // namespace conclave::engine::protocol
