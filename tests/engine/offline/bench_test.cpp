#include "engine/offline/bench.h"

#include <gtest/gtest.h>
#include <string>

namespace conclave::engine::offline {
namespace {

const std::string kModels = CONCLAVE_SOURCE_DIR "/tests/fixtures/models/";

TEST(Bench, MeasuresEveryRowBesideItsLimit) {
    BenchOptions options;
    options.model = kModels + "deepseek-v3-wide/quantized/Q4_K_M/model.gguf";
    options.load.activations = model::ActivationChoice::Preferred;
    options.samples = 1;
    const auto report = bench(options);
    ASSERT_TRUE(report.ok()) << base::render(report.error());
    ASSERT_EQ(report->rows.size(), benchRows().size());
    EXPECT_GT(report->limits.readGbS, 0);
    EXPECT_GT(report->limits.int8GopS, 0);
    EXPECT_GT(report->limits.f32GflopS, 0);
    for (size_t i = 0; i < report->rows.size(); ++i) {
        const BenchRow& row = report->rows[i];
        EXPECT_EQ(row.name, benchRows()[i]);
        if (row.samples == 0) {
            EXPECT_FALSE(row.note.empty()) << row.name;
            continue;
        }
        EXPECT_GT(row.value, 0) << row.name;
        EXPECT_GT(row.limit, 0) << row.name;
        EXPECT_GT(row.share, 0) << row.name;
        if (row.unit != "tokens/s") continue;
        EXPECT_GT(row.operations, 0u) << row.name;
        const model::StepTimes& t = row.times;
        EXPECT_GT(t.attention, 0u);
        EXPECT_GT(t.feedForward, 0u);
        EXPECT_LE(t.attention + t.router + t.feedForward + t.head, t.all);
        EXPECT_LE(t.waiting, t.all);
    }
    const auto json = toJson(*report);
    for (const char* key : {"model", "kernels", "threads", "limits", "rows"})
        EXPECT_TRUE(json.contains(key)) << key;
}

TEST(Bench, RowsBeyondTheContextAreSkippedAndSaySo) {
    BenchOptions options;
    options.model = CONCLAVE_SOURCE_DIR "/resources/models/starter";
    options.rows = {"decode_4096"};
    const auto report = bench(options);
    ASSERT_TRUE(report.ok()) << base::render(report.error());
    ASSERT_EQ(report->rows.size(), 1u);
    EXPECT_EQ(report->rows[0].samples, 0u);
    EXPECT_NE(report->rows[0].note.find("1024"), std::string::npos) << report->rows[0].note;
}

TEST(Bench, RefusesWhatItCannotMeasure) {
    BenchOptions options;
    options.model = kModels + "llama-tiny";
    options.rows = {"decode"};
    EXPECT_EQ(bench(options).error().field, "--rows");
    options.rows = {};
    options.samples = 0;
    EXPECT_EQ(bench(options).error().field, "--samples");
    options.samples = 1;
    options.threads = 100000;
    EXPECT_EQ(bench(options).error().code, base::Code::TooManyThreads);
}

}  // namespace
}  // namespace conclave::engine::offline
