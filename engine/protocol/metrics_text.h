#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace conclave::engine::protocol {

/// Writes metrics in Prometheus' text format, version 0.0.4
/// (https://prometheus.io/docs/instrumenting/exposition_formats/): a family's HELP and TYPE, then its
/// samples.
class MetricsText {
  public:
    enum class Type : uint8_t { Counter, Gauge, Histogram };
    using Labels = std::vector<std::pair<std::string_view, std::string_view>>;

    /// Begins a family. Names are ours and valid; `help` is one line.
    void family(std::string_view name, Type type, std::string_view help);
    /// A sample of the family. Label values may be any text.
    void sample(const Labels& labels, double value);
    void sample(const Labels& labels, uint64_t value);
    /// A histogram of the family: `counts` of each bound and of what is above, not cumulative.
    void histogram(const Labels& labels, std::span<const double> bounds, std::span<const uint64_t> counts,
                   double sum);
    /// A family of one sample without labels.
    template <class Number>
    void single(std::string_view name, Type type, std::string_view help, Number value) {
        family(name, type, help);
        sample({}, value);
    }

    const std::string& text() const { return text_; }

  private:
    void line(std::string_view suffix, const Labels& labels, std::string_view value);

    std::string name_, text_;
};

/// Content-Type of such a text.
inline constexpr std::string_view kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace conclave::engine::protocol
