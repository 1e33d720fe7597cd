#include "engine/protocol/metrics_text.h"

#include <gtest/gtest.h>

#include <array>

namespace conclave::engine::protocol {
namespace {

using Type = MetricsText::Type;

TEST(MetricsText, FamiliesSamplesAndLabels) {
    MetricsText out;
    out.single("up", Type::Gauge, "Whether it is.", uint64_t{1});
    out.family("words_total", Type::Counter, "Words.");
    out.sample({{"model", "a\\b \"c\"\nd"}, {"kind", ""}}, 0.25);
    EXPECT_EQ(out.text(), "# HELP up Whether it is.\n# TYPE up gauge\nup 1\n"
                          "# HELP words_total Words.\n# TYPE words_total counter\n"
                          "words_total{model=\"a\\\\b \\\"c\\\"\\nd\",kind=\"\"} 0.25\n");
}

TEST(MetricsText, BadUtf8IsReplaced) {
    MetricsText out;
    out.family("a", Type::Gauge, "A.");
    out.sample({{"b", "x\xff"}}, uint64_t{18446744073709551615u});
    EXPECT_TRUE(out.text().ends_with("a{b=\"x\xEF\xBF\xBD\"} 18446744073709551615\n")) << out.text();
}

TEST(MetricsText, HistogramsAreCumulative) {
    MetricsText out;
    out.family("t", Type::Histogram, "T.");
    const std::array<double, 2> bounds{0.001, 2};
    const std::array<uint64_t, 3> counts{1, 0, 4};
    out.histogram({{"m", "x"}}, bounds, counts, 12.5);
    EXPECT_TRUE(out.text().ends_with("t_bucket{m=\"x\",le=\"0.001\"} 1\n"
                                     "t_bucket{m=\"x\",le=\"2\"} 1\n"
                                     "t_bucket{m=\"x\",le=\"+Inf\"} 5\n"
                                     "t_sum{m=\"x\"} 12.5\nt_count{m=\"x\"} 5\n"))
        << out.text();
}

}  // namespace
}  // namespace conclave::engine::protocol
