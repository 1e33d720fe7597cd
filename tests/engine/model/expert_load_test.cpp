#include "engine/model/expert_load.h"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <numeric>
#include <random>

namespace conclave::engine::model {
namespace {

using Counts = std::vector<uint32_t>;

TEST(ExpertLoad, FiguresByHand) {
    const auto load = loadOf(Counts{6, 2, 0, 0});  // mean 2
    ASSERT_TRUE(load.has_value());
    EXPECT_DOUBLE_EQ(load->maxVio, 2);  // 6 / 2 − 1
    EXPECT_DOUBLE_EQ(load->cv, std::sqrt((16 + 0 + 4 + 4) / 4.0) / 2);
    // Shares 3/4 and 1/4.
    EXPECT_NEAR(load->entropy, -(0.75 * std::log(0.75) + 0.25 * std::log(0.25)) / std::log(4), 1e-12);
    EXPECT_EQ(load->dead, 2);
}

TEST(ExpertLoad, TheEndsOfTheScale) {
    const auto even = loadOf(Counts(8, 5));
    EXPECT_DOUBLE_EQ(even->maxVio, 0);
    EXPECT_DOUBLE_EQ(even->cv, 0);
    EXPECT_NEAR(even->entropy, 1, 1e-12);
    EXPECT_EQ(even->dead, 0);
    const auto one = loadOf(Counts{0, 0, 9, 0});
    EXPECT_DOUBLE_EQ(one->maxVio, 3);
    EXPECT_NEAR(one->entropy, 0, 1e-12);
    EXPECT_EQ(one->dead, 3);
    EXPECT_FALSE(loadOf(Counts(8, 0)).has_value());
    EXPECT_DOUBLE_EQ(loadOf(Counts{7})->entropy, 1);
}

TEST(ExpertLoad, DeadIsBelowATwentiethOfTheMean) {
    Counts counts(10, 100);
    counts[0] = 4;
    counts[1] = 5;  // the mean is 80.9, a twentieth of it 4.05
    EXPECT_EQ(hardlyUsed(counts), Counts{0});
    EXPECT_EQ(loadOf(counts)->dead, 1);
    EXPECT_EQ(hardlyUsed(Counts(3, 0)), (Counts{0, 1, 2}));
}

/// Means over many draws of routers that choose `chosen` different experts of `experts` for each token.
LoadFigures simulated(uint32_t tokens, uint32_t chosen, uint32_t experts, uint32_t times) {
    std::mt19937 random(7);
    LoadFigures sum;
    double squares = 0;
    Counts order(experts);
    std::iota(order.begin(), order.end(), 0u);
    for (uint32_t turn = 0; turn < times; ++turn) {
        Counts counts(experts);
        for (uint32_t token = 0; token < tokens; ++token)
            for (uint32_t slot = 0; slot < chosen; ++slot) {
                const uint32_t other = slot + static_cast<uint32_t>(random() % (experts - slot));
                std::swap(order[slot], order[other]);
                ++counts[order[slot]];
            }
        const auto load = loadOf(counts);
        sum.maxVio += load->maxVio / times;
        squares += load->cv * load->cv / times;
        sum.entropy += load->entropy / times;
        sum.dead += load->dead / times;
    }
    sum.cv = std::sqrt(squares);
    return sum;
}

TEST(ExpertLoad, TheFloorIsWhatEvenRoutersShow) {
    struct Case {
        uint32_t tokens, chosen, experts, times;
    };
    for (const Case c : {Case{1, 1, 8, 50}, Case{2, 1, 8, 4000}, Case{4, 4, 16, 4000}, Case{16, 2, 8, 2000},
                         Case{32, 6, 64, 1000}, Case{128, 8, 256, 400}, Case{512, 6, 64, 400},
                         Case{512, 1, 4, 1000}, Case{4096, 6, 64, 60}}) {
        const LoadFigures want = simulated(c.tokens, c.chosen, c.experts, c.times);
        const LoadFigures floor = evenLoad(c.tokens, uint64_t{c.tokens} * c.chosen, c.experts);
        const std::string what = std::to_string(c.tokens) + " tokens, " + std::to_string(c.chosen) + " of " +
                                 std::to_string(c.experts);
        const bool few = c.tokens * c.chosen < 2 * c.experts;
        EXPECT_NEAR((1 + floor.maxVio) / (1 + want.maxVio), 1, few ? 0.08 : 0.02) << what;
        EXPECT_NEAR(floor.cv, want.cv, 0.03 * want.cv + 1e-9) << what;
        EXPECT_NEAR(floor.entropy, want.entropy, 0.01) << what;
        EXPECT_NEAR(floor.dead, want.dead, 0.02 * want.dead + 0.05) << what;
    }
}

TEST(ExpertLoad, TheFloorFallsWithTheWindow) {
    // 64 experts of which 6 are chosen (DeepSeek-V2-Lite's), simulated elsewhere to two digits.
    const auto floor = [](uint64_t tokens) { return evenLoad(tokens, tokens * 6, 64).maxVio; };
    EXPECT_NEAR(floor(512), 0.33, 0.01);
    EXPECT_NEAR(floor(4096), 0.12, 0.005);
    EXPECT_NEAR(floor(32768), 0.04, 0.005);
    EXPECT_NEAR(floor(131072), 0.02, 0.005);
    EXPECT_LT(floor(100'000'000), 0.001);
}

TEST(ExpertLoad, WhereEveryExpertIsChosenNothingIsNoise) {
    const LoadFigures floor = evenLoad(10, 40, 4);
    EXPECT_EQ(floor.maxVio, 0);
    EXPECT_EQ(floor.cv, 0);
    EXPECT_EQ(floor.entropy, 1);
    EXPECT_EQ(floor.dead, 0);
}

TEST(ExpertLoad, TheBusiestThatCarryAShare) {
    const Counts counts = {10, 0, 50, 10, 30};
    EXPECT_EQ(expertsThatCarry(counts, 0.5), Counts{2});
    EXPECT_EQ(expertsThatCarry(counts, 0.8), (Counts{2, 4}));
    EXPECT_EQ(expertsThatCarry(counts, 0.85), (Counts{2, 4, 0}));
    EXPECT_EQ(expertsThatCarry(counts, 1), (Counts{2, 4, 0, 3}));
    EXPECT_TRUE(expertsThatCarry(Counts(4, 0), 0.8).empty());
}

TEST(ExpertLoad, OverlapOfTwoTexts) {
    const Counts a = {1, 1, 2, 0}, b = {0, 0, 5, 5};
    EXPECT_DOUBLE_EQ(commonLoad(a, b), 0.5);
    EXPECT_DOUBLE_EQ(commonLoad(a, a), 1);
    EXPECT_DOUBLE_EQ(commonLoad(a, Counts{0, 0, 0, 3}), 0);
    EXPECT_DOUBLE_EQ(commonLoad(a, Counts(4, 0)), 0);
    EXPECT_DOUBLE_EQ(commonTop(a, b, 1), 1);        // both: expert 2
    EXPECT_DOUBLE_EQ(commonTop(a, b, 2), 1.0 / 3);  // 2 and 0, 2 and 3
    EXPECT_DOUBLE_EQ(commonTop(a, b, 4), 1);
}

TEST(ExpertLoad, TheWorstLayerIsNeverAPool) {
    ExpertCounts counts;
    EXPECT_TRUE(loadOf(counts, {}, 0).empty());
    EXPECT_EQ(worstLayer({}), nullptr);
    ModelConfig config;
    config.layers = 4;
    config.experts = 2;
    config.moeLayer = {0, 1, 1, 1};
    counts = ExpertCounts(config);
    counts.layer(0)[0] = 10;  // layers 1 and 2 make an even pool
    counts.layer(1)[1] = 9;
    counts.layer(1)[0] = 1;
    const std::vector<LayerLoad> loads = loadOf(counts, layersWithExperts(config), 10);
    ASSERT_EQ(loads.size(), 3u);
    const LayerLoad* worst = worstLayer(loads);
    ASSERT_NE(worst, nullptr);
    EXPECT_EQ(worst->layer, 1u);
    EXPECT_EQ(loads[1].picks, 10u);
    EXPECT_EQ(loads[1].counts, (Counts{1, 9}));
    EXPECT_DOUBLE_EQ(loads[1].load->maxVio, 0.8);
    EXPECT_DOUBLE_EQ(loads[1].floor->maxVio, loads[0].floor->maxVio);
    EXPECT_FALSE(loads[2].load.has_value());
    EXPECT_FALSE(loads[2].floor.has_value());
}

}  // namespace
}  // namespace conclave::engine::model
