#include "engine/offline/router_sweep.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <string>

namespace conclave::engine::offline {
namespace {

const std::string kModels = CONCLAVE_SOURCE_DIR "/tests/fixtures/models/";
const std::string kStarter = CONCLAVE_SOURCE_DIR "/resources/models/starter";
const std::string kText = CONCLAVE_SOURCE_DIR "/docs/architecture.md";

SweepReport mustSweep(const SweepOptions& options) {
    auto report = sweepRouter(options);
    EXPECT_TRUE(report.ok()) << base::render(report.error());
    return report.ok() ? *std::move(report) : SweepReport();
}

std::string refusal(const SweepOptions& options) {
    const auto report = sweepRouter(options);
    return report.ok() ? "" : base::render(report.error());
}

TEST(RouterSweep, EachValueIsMeasuredBesideTheModelAsTrained) {
    SweepOptions options{.model = kModels + "mixtral-tiny", .text = kText, .tokens = 300, .samples = 2};
    options.sweeps = {"active=1,2,3", "temperature=0.5", "floor=0.9", "cap=1,8"};
    const SweepReport report = mustSweep(options);
    ASSERT_EQ(report.rows.size(), 8u);
    EXPECT_EQ(report.positions, 300u);
    const SweepRow& trained = report.rows[0];
    EXPECT_EQ(trained.name, "as trained");
    EXPECT_EQ(trained.divergence.meanKl, 0);
    EXPECT_EQ(trained.divergence.sameBest, 300u);
    EXPECT_EQ(trained.expertsPerToken, 2);
    EXPECT_EQ(trained.speed, 1);
    for (size_t i = 1; i < report.rows.size(); ++i) {
        const SweepRow& row = report.rows[i];
        EXPECT_GT(row.tokensPerSecond, 0);
        EXPECT_TRUE(std::isfinite(row.divergence.meanKl));
        // Two experts are as trained, and no expert takes eight times the mean.
        const bool same = row.name == "active=2" || row.name == "cap=8";
        EXPECT_EQ(std::abs(row.divergence.meanKl) < 1e-12, same) << row.name << row.divergence.meanKl;
        EXPECT_EQ(row.divergence.sameBest == 300, same) << row.name;
    }
    EXPECT_EQ(report.rows[1].expertsPerToken, 1);
    EXPECT_EQ(report.rows[3].expertsPerToken, 3);
    EXPECT_EQ(report.rows[4].expertsPerToken, 2) << "a temperature leaves nobody out";
    EXPECT_LT(report.rows[5].expertsPerToken, 2);
    EXPECT_GT(report.rows[5].expertsPerToken, 1);
    EXPECT_LT(report.rows[6].busiest, trained.busiest) << "the cap levels";
    EXPECT_LE(report.rows[6].busiest, 1.1);
    EXPECT_EQ(toJson(report)["rows"].size(), 8u);
    EXPECT_FALSE(toJson(report).contains("replicas"));
}

TEST(RouterSweep, ReplicasOfTheStartersExpertsLevelItsDevices) {
    SweepOptions options{.model = kStarter, .text = kText, .tokens = 3000, .samples = 1, .devices = 8};
    const SweepReport report = mustSweep(options);
    ASSERT_TRUE(report.replicas);
    const parallel::ReplicaPlan& plan = report.replicas->plan;
    ASSERT_EQ(plan.layers.size(), 5u);
    EXPECT_EQ(report.replicas->numbers, (std::vector<uint32_t>{1, 2, 3, 4, 5}));
    EXPECT_EQ(plan.copies, 72u);
    double worst = 0;
    for (const parallel::LayerPlacement& layer : plan.layers) {
        worst = std::max(worst, layer.unplanned);
        EXPECT_LE(layer.planned, 1.1);
    }
    EXPECT_GE(worst, 1.4) << "there was something to mend";
    EXPECT_EQ(report.replicas->later.size(), 5u);
    EXPECT_EQ(toJson(report)["replicas"]["layers"][0]["devices"].size(), 64u);
}

TEST(RouterSweep, WhatCannotBeMeasuredIsOneSentence) {
    const SweepOptions good{.model = kModels + "mixtral-tiny", .text = kText, .tokens = 20, .samples = 1};
    for (const char* sweep :
         {"active", "active=", "active=x", "active=1.5", "active=0", "heat=1", "floor=1,"}) {
        SweepOptions bad = good;
        bad.sweeps = {sweep};
        EXPECT_TRUE(refusal(bad).starts_with("--sweep: " + std::string(sweep) + " is out of range"))
            << refusal(bad);
    }
    const auto with = [&](auto&& change) {
        SweepOptions bad = good;
        change(bad);
        return refusal(bad);
    };
    EXPECT_NE(with([](auto& o) { o.sweeps = {"active=9"}; }).find("router.active: 9"), std::string::npos);
    EXPECT_NE(with([](auto& o) { o.sweeps = {"cap=0.5"}; }).find("--sweep cap: 0.5"), std::string::npos);
    EXPECT_NE(with([](auto& o) { o.model = kModels + "llama-tiny"; }).find("dense model"), std::string::npos);
    EXPECT_NE(with([](auto& o) { o.text = "/nowhere"; }).find("/nowhere"), std::string::npos);
    EXPECT_NE(with([](auto& o) { o.samples = 0; }).find("--samples"), std::string::npos);
    EXPECT_NE(with([](auto& o) { o.devices = 99; }).find("devices: 99"), std::string::npos);
}

}  // namespace
}  // namespace conclave::engine::offline
