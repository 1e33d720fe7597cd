#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <random>
#include <set>
#include <vector>

#include "engine/model/expert_cap.h"

namespace conclave::engine::model {
namespace {

struct Choices {
    uint32_t rows, slots, experts;
    std::vector<float> choice;
    std::vector<int32_t> ids;
    std::vector<uint32_t> load;

    /// Rows that like the low experts more, and choose the best.
    Choices(uint32_t r, uint32_t s, uint32_t e, uint32_t seed)
        : rows(r), slots(s), experts(e), choice(r * e), ids(r * s), load(e) {
        std::mt19937 random(seed);
        for (uint32_t row = 0; row < rows; ++row) {
            std::vector<std::pair<float, int32_t>> order;
            for (uint32_t x = 0; x < e; ++x) {
                choice[row * e + x] = std::exp(-0.1f * static_cast<float>(x)) *
                                      std::uniform_real_distribution<float>(0.1f, 1)(random);
                order.emplace_back(-choice[row * e + x], x);
            }
            std::sort(order.begin(), order.end());
            for (uint32_t n = 0; n < s; ++n)
                ids[row * s + n] = order[n].second;
        }
    }
    uint32_t cap(float factor, const int32_t* forced = nullptr) {
        return capExperts({rows, slots, experts, factor, choice.data(), forced, load.data(), ids.data()});
    }
    uint32_t most() const {
        std::vector<uint32_t> counts(experts);
        for (const int32_t id : ids)
            if (id >= 0) ++counts[static_cast<size_t>(id)];
        return *std::max_element(counts.begin(), counts.end());
    }
};

TEST(ExpertCap, NobodyTakesMoreThanTheCap) {
    for (const float factor : {1.0f, 1.25f, 2.0f}) {
        Choices c(100, 4, 32, 1);
        const auto cap = static_cast<uint32_t>(std::ceil(factor * 400 / 32));
        EXPECT_GT(c.most(), cap);
        EXPECT_GT(c.cap(factor), 0u);
        EXPECT_LE(c.most(), cap);
        for (uint32_t row = 0; row < 100; ++row) {
            const auto begin = c.ids.begin() + row * 4;
            EXPECT_EQ(std::set<int32_t>(begin, begin + 4).size(), 4u) << "an expert twice in row " << row;
        }
    }
}

TEST(ExpertCap, WhatFitsStays) {
    Choices c(100, 4, 32, 2);
    const std::vector<int32_t> before = c.ids;
    EXPECT_EQ(c.cap(32), 0u);
    EXPECT_EQ(c.ids, before);
    Choices one(1, 4, 32, 3);
    EXPECT_EQ(one.cap(1), 0u) << "a row alone has nobody to share with";
}

TEST(ExpertCap, LateRowsAndLateChoicesMoveFirstToTheNextBest) {
    Choices c(3, 1, 4, 0);
    c.choice = {9, 1, 2, 3, 9, 3, 2, 1, 9, 2, 3, 1};
    c.ids = {0, 0, 0};
    EXPECT_EQ(c.cap(1), 2u);
    EXPECT_EQ(c.ids, (std::vector<int32_t>{0, 1, 2}));
}

TEST(ExpertCap, ForcedRowsUnusedSlotsAndWhatCannotBeChosenAreLeftAlone) {
    Choices c(3, 2, 4, 0);
    constexpr float kOut = -INFINITY;
    c.choice = {9, 8, 1, kOut, 9, 8, kOut, kOut, 9, 8, 1, 2};
    c.ids = {0, 1, 0, -1, 0, 1};
    const std::vector<int32_t> forced = {-1, -1, -1, -1, 0, 1};
    EXPECT_EQ(c.cap(1, forced.data()), 1u);  // five slots, so two an expert: one too many of expert 0
    EXPECT_EQ(c.ids, (std::vector<int32_t>{2, 1, 0, -1, 0, 1})) << "row 1 has nowhere to go";
}

}  // namespace
}  // namespace conclave::engine::model
