#include "engine/text/pair_table.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace conclave::engine::text {
namespace {

TEST(PairTable, EmptyFindsNothing) {
    const PairTable table;
    EXPECT_EQ(table.find(0, 0), PairTable::kNone);
    EXPECT_EQ(table.find(PairTable::kNone, PairTable::kNone - 1), PairTable::kNone);
    EXPECT_EQ(table.find(PairTable::kNone, PairTable::kNone), PairTable::kNone);
}

TEST(PairTable, OfDuplicatesTheFirstStays) {
    PairTable table;
    table.add(1, 2, 10);
    table.add(1, 2, 11);
    table.add(2, 1, 12);
    EXPECT_EQ(table.find(1, 2), 10u);
    EXPECT_EQ(table.find(2, 1), 12u);
    EXPECT_EQ(table.find(1, 1), PairTable::kNone);
    EXPECT_EQ(table.find(2, 2), PairTable::kNone);
}

TEST(PairTable, AgreesWithAMapWhileItGrows) {
    std::mt19937 random(3);
    for (const size_t reserved : {size_t{0}, size_t{100}, size_t{20000}}) {
        PairTable table;
        table.reserve(reserved);
        std::map<std::pair<uint32_t, uint32_t>, uint32_t> expected;
        for (uint32_t i = 0; i < 20000; ++i) {
            const auto left = static_cast<uint32_t>(random() % 300),
                       right = static_cast<uint32_t>(random() % 300);
            table.add(left, right, i);
            expected.emplace(std::pair(left, right), i);
        }
        for (uint32_t left = 0; left < 301; ++left)
            for (uint32_t right = 0; right < 301; ++right) {
                const auto known = expected.find({left, right});
                ASSERT_EQ(table.find(left, right),
                          known == expected.end() ? PairTable::kNone : known->second);
            }
    }
}

TEST(PairTable, FullToWhatWasReserved) {
    // Twelve of sixteen slots, and the first numbers above.
    for (const uint32_t pairs : {10U, 11U, 12U, 13U, 24U, 25U, 3072U}) {
        PairTable table;
        table.reserve(pairs);
        for (uint32_t i = 0; i < pairs; ++i)
            table.add(i, i + 1, i);
        for (uint32_t i = 0; i < pairs; ++i) {
            ASSERT_EQ(table.find(i, i + 1), i);
            ASSERT_EQ(table.find(i, i + 2), PairTable::kNone);
        }
    }
}

TEST(PairTable, PairsThatBeginAtOneSlotAreKeptApart) {
    // With a multiplier of 1 small numbers all begin at the first slot.
    PairTable table(1);
    for (uint32_t left = 0; left < 40; ++left)
        for (uint32_t right = 0; right < 40; right += 2)
            table.add(left, right, left * 100 + right);
    for (uint32_t left = 0; left < 41; ++left)
        for (uint32_t right = 0; right < 41; ++right)
            ASSERT_EQ(table.find(left, right),
                      left < 40 && right < 40 && right % 2 == 0 ? left * 100 + right : PairTable::kNone);
}

TEST(PairTable, SearchGoesRoundTheEnd) {
    // Keys whose product begins with ones begin at the last slot.
    PairTable table(1);
    for (uint32_t i = 0; i < 12; ++i)
        table.add(PairTable::kNone - 1, i, i);
    for (uint32_t i = 0; i < 12; ++i)
        EXPECT_EQ(table.find(PairTable::kNone - 1, i), i);
    EXPECT_EQ(table.find(PairTable::kNone - 1, 12), PairTable::kNone);
}

}  // namespace
}  // namespace conclave::engine::text
