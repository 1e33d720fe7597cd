#include "engine/parallel/replicas.h"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <numeric>
#include <random>
#include <set>

namespace conclave::engine::parallel {
namespace {

using Counts = std::vector<uint64_t>;

/// Tokens of experts whose popularity falls as 1 / rank^slope, in an order drawn at random.
Counts zipf(uint32_t experts, double slope, uint32_t seed) {
    Counts out;
    for (uint32_t e = 0; e < experts; ++e)
        out.push_back(static_cast<uint64_t>(1e6 / std::pow(e + 1, slope)));
    std::mt19937 random(seed);
    std::shuffle(out.begin(), out.end(), random);
    return out;
}

ReplicaPlan mustPlan(const std::vector<Counts>& counts, const ReplicaOptions& options) {
    auto plan = planReplicas(counts, options);
    EXPECT_TRUE(plan.ok()) << base::render(plan.error());
    return *std::move(plan);
}

/// What every plan promises.
void expectSound(const ReplicaPlan& plan, size_t experts, double extra) {
    for (const LayerPlacement& layer : plan.layers) {
        std::vector<uint32_t> held(plan.devices);
        size_t copies = 0;
        ASSERT_EQ(layer.devices.size(), experts);
        for (const auto& devices : layer.devices) {
            EXPECT_FALSE(devices.empty()) << "an expert without a device";
            EXPECT_TRUE(std::ranges::is_sorted(devices));
            EXPECT_EQ(std::set<uint32_t>(devices.begin(), devices.end()).size(), devices.size());
            copies += devices.size();
            for (const uint32_t device : devices)
                ++held.at(device);
        }
        EXPECT_LE(static_cast<double>(copies), static_cast<double>(experts) * (1 + extra));
        EXPECT_LE(*std::ranges::max_element(held), plan.slots);
    }
    EXPECT_LE(plan.slots * plan.devices, plan.copies + plan.devices - 1) << "devices hold about as much each";
}

TEST(Replicas, AStragglerOfOneAndAHalfAndMoreComesBelowOnePointOne) {
    uint32_t bad = 0;
    for (const uint32_t experts : {64u, 128u, 160u, 256u})
        for (const double slope : {0.5, 0.8, 1.0})
            for (uint32_t seed = 0; seed < 20; ++seed) {
                const ReplicaPlan plan = mustPlan({zipf(experts, slope, seed)}, {8, 0.125});
                expectSound(plan, experts, 0.125);
                bad += plan.layers[0].unplanned >= 1.5;
                EXPECT_LE(plan.layers[0].planned, 1.1) << experts << " " << slope << " " << seed;
            }
    EXPECT_GE(bad, 50u) << "there was something to mend";
}

TEST(Replicas, WithoutExtraCopiesItIsAPermutation) {
    const ReplicaPlan plan = mustPlan({zipf(64, 0.5, 1), zipf(64, 0.3, 2)}, {8, 0});
    expectSound(plan, 64, 0);
    for (const LayerPlacement& layer : plan.layers)
        EXPECT_LT(layer.planned, layer.unplanned);
}

TEST(Replicas, ThePlanDependsOnTheCountsAlone) {
    const std::vector<Counts> counts = {zipf(64, 1, 1), zipf(64, 0.7, 2), Counts(64, 5), Counts(64, 0)};
    const ReplicaPlan one = mustPlan(counts, {6, 0.2}), two = mustPlan(counts, {6, 0.2});
    for (size_t layer = 0; layer < counts.size(); ++layer)
        EXPECT_EQ(one.layers[layer].devices, two.layers[layer].devices);
    EXPECT_EQ(mustPlan({counts[1]}, {6, 0.2}).layers[0].devices, one.layers[1].devices)
        << "layers do not know each other";
    EXPECT_EQ(one.layers[3].planned, 1) << "no tokens, no straggler";
}

TEST(Replicas, CopiesShareTheTokensOfAnExpert) {
    Counts counts(16, 100);
    counts[5] = 2000;
    const ReplicaPlan plan = mustPlan({counts}, {4, 0.25});
    const LayerPlacement& layer = plan.layers[0];
    EXPECT_GT(layer.devices[5].size(), 1u);
    std::vector<uint64_t> taken(4);
    for (uint32_t e = 0; e < 16; ++e)
        for (uint64_t n = 0; n < counts[e]; ++n)
            ++taken[layer.deviceOf(e, n)];
    const auto all = static_cast<double>(std::accumulate(taken.begin(), taken.end(), uint64_t{0}));
    EXPECT_NEAR(static_cast<double>(*std::ranges::max_element(taken)) * 4 / all, layer.planned, 0.01);
}

TEST(Replicas, RandomCountsOnRandomHouses) {
    std::mt19937 random(11);
    const auto below = [&](uint32_t limit) { return static_cast<uint32_t>(random() % limit); };
    for (int round = 0; round < 200; ++round) {
        const uint32_t experts = 1 + below(70), devices = 1 + below(experts);
        const double extra = static_cast<double>(below(5)) / 4;
        std::vector<Counts> counts(1 + below(3), Counts(experts));
        for (Counts& layer : counts)
            for (uint64_t& count : layer)
                count = below(3) == 0 ? 0 : below(1000);
        const ReplicaPlan plan = mustPlan(counts, {devices, extra});
        expectSound(plan, experts, extra);
        for (const LayerPlacement& layer : plan.layers)
            EXPECT_TRUE(devices > 1 || std::abs(layer.planned - 1) < 1e-9);
    }
}

TEST(Replicas, WhatMakesNoSenseIsRefused) {
    const auto refusal = [](const std::vector<Counts>& counts, const ReplicaOptions& options) {
        const auto plan = planReplicas(counts, options);
        return plan.ok() ? "" : base::render(plan.error());
    };
    EXPECT_EQ(refusal({Counts(8, 1)}, {9, 0.1}),
              "devices: 9 is out of range; it must be from 1 to the 8 experts");
    EXPECT_NE(refusal({Counts(8, 1)}, {0, 0.1}), "");
    EXPECT_NE(refusal({Counts(8, 1)}, {2, -0.1}), "");
    EXPECT_NE(refusal({Counts(8, 1)}, {2, std::nan("")}), "");
    EXPECT_NE(refusal({}, {2, 0.1}), "");
    EXPECT_NE(refusal({Counts(8, 1), Counts(7, 1)}, {2, 0.1}), "");
    EXPECT_NE(refusal({Counts()}, {1, 0.1}), "");
}

}  // namespace
}  // namespace conclave::engine::parallel
