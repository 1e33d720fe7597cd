#include "engine/scheduler/page_pool.h"

#include <gtest/gtest.h>

namespace conclave::engine::scheduler {
namespace {

TEST(PagePool, KeepsToItsBudget) {
    PagePool pool(1000);
    const auto a = pool.take(400), b = pool.take(400);
    ASSERT_TRUE(a && b);
    EXPECT_NE(*a, *b);
    EXPECT_NE(pool.data(*a), pool.data(*b));
    EXPECT_EQ(pool.room(), 200u);
    EXPECT_FALSE(pool.take(400));
    EXPECT_FALSE(pool.lastFailure()) << "the budget is no failure of the system";
    pool.release(*a);
    EXPECT_EQ(pool.room(), 600u);
    EXPECT_TRUE(pool.take(400));
}

TEST(PagePool, GivesIdleMemoryToPagesOfAnotherSize) {
    PagePool pool(1000);
    const auto a = pool.take(500), b = pool.take(500);
    pool.release(*a);
    const auto small = pool.take(100);
    ASSERT_TRUE(small);
    EXPECT_EQ(pool.inUse(), 600u);
    EXPECT_FALSE(pool.take(500));
    pool.release(*b);
    EXPECT_TRUE(pool.take(900));
}

TEST(PagePool, CountsReferences) {
    PagePool pool(1000);
    const auto page = pool.take(500);
    pool.retain(*page);
    pool.release(*page);
    EXPECT_EQ(pool.inUse(), 500u);
    pool.release(*page);
    EXPECT_EQ(pool.inUse(), 0u);
}

TEST(PagePool, WhatOnlyTheCacheHoldsIsRoom) {
    PagePool pool(1000);
    const auto page = pool.take(600);
    pool.retain(*page);
    pool.setCached(*page, true);
    EXPECT_EQ(pool.room(), 400u);
    EXPECT_FALSE(pool.onlyCached(*page));
    pool.release(*page);
    EXPECT_EQ(pool.room(), 1000u);
    EXPECT_TRUE(pool.onlyCached(*page));
    pool.retain(*page);
    EXPECT_EQ(pool.room(), 400u);
    pool.release(*page);
    pool.setCached(*page, false);
    EXPECT_EQ(pool.room(), 400u);
    pool.release(*page);
    EXPECT_EQ(pool.room(), 1000u);
}

TEST(PagePool, SaysWhenTheSystemHasNoMemory) {
    PagePool pool(1 << 20);
    platform::failAllocationAfter(1);
    EXPECT_FALSE(pool.take(4096));
    platform::failAllocationAfter(0);
    ASSERT_TRUE(pool.lastFailure());
    EXPECT_EQ(pool.lastFailure()->code, base::Code::OutOfMemory);
    EXPECT_TRUE(pool.take(4096));
}

}  // namespace
}  // namespace conclave::engine::scheduler
