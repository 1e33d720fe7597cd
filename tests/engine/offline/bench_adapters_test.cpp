#include "engine/offline/bench_adapters.h"

#include <filesystem>
#include <gtest/gtest.h>
#include <map>

namespace conclave::engine::offline {
namespace {

const std::string kModels = CONCLAVE_SOURCE_DIR "/tests/fixtures/models/";

size_t benchFolders() {
    size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::temp_directory_path()))
        count += entry.path().filename().string().starts_with("conclave-bench-") ? 1 : 0;
    return count;
}

std::map<std::string, AdapterBenchRow> rowsOf(const AdapterBenchReport& report) {
    std::map<std::string, AdapterBenchRow> out;
    for (const AdapterBenchRow& row : report.rows)
        out[row.name] = row;
    return out;
}

TEST(BenchAdapters, MeasuresEveryRowAndTidiesUp) {
    const size_t before = benchFolders();
    AdapterBenchOptions options;
    options.model = "synth:olmoe-1b-7b:q4_0:1";
    options.load.activations = model::ActivationChoice::Preferred;
    options.rank = 2;
    options.samples = 1;
    const auto report = benchAdapters(options);
    ASSERT_TRUE(report.ok()) << base::render(report.error());
    const auto rows = rowsOf(*report);
    ASSERT_EQ(rows.size(), 7u);
    for (const char* name : {"first_use", "attention", "experts", "batch_attention", "batch_experts",
                             "switch", "computed_again"})
        EXPECT_GT(rows.at(name).samples, 0u) << name << ": " << rows.at(name).note;
    EXPECT_GT(rows.at("first_use").value, 0);
    EXPECT_GT(rows.at("batch_experts").value, 0);
    EXPECT_EQ(rows.at("computed_again").value, 0);
    EXPECT_TRUE(rows.at("computed_again").met());
    EXPECT_GT(report->decodeMs, 0);
    EXPECT_LE(benchFolders(), before);
    EXPECT_EQ(toJson(*report)["rows"].size(), report->rows.size());
}

TEST(BenchAdapters, SaysWhatItLeavesOut) {
    AdapterBenchOptions options;
    options.model = kModels + "llama-tiny";
    options.rank = 2;
    options.samples = 1;
    const auto report = benchAdapters(options);
    ASSERT_TRUE(report.ok()) << base::render(report.error());
    const auto rows = rowsOf(*report);
    EXPECT_FALSE(rows.contains("experts")) << "it has none";
    EXPECT_EQ(rows.at("switch").samples, 0u);
    EXPECT_NE(rows.at("switch").note.find("does not hold 514"), std::string::npos) << rows.at("switch").note;
}

TEST(BenchAdapters, RefusesWhatItCannotMeasure) {
    AdapterBenchOptions options;
    options.model = kModels + "llama-tiny";
    options.samples = 0;
    EXPECT_EQ(benchAdapters(options).error().field, "--samples");
    options.samples = 1;
    options.threads = 10'000;
    EXPECT_EQ(benchAdapters(options).error().code, base::Code::TooManyThreads);
    options.threads = 0;
    options.rank = 100'000;
    EXPECT_EQ(benchAdapters(options).error().field, "rank");
}

}  // namespace
}  // namespace conclave::engine::offline
