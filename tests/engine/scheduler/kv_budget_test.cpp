#include "engine/scheduler/kv_budget.h"

#include <gtest/gtest.h>

#include "engine/scheduler/scheduler.h"
#include "tests/engine/scheduler/marker_model.h"
#include "tests/engine/scheduler/recorder.h"

namespace conclave::engine::scheduler {
namespace {

using testing::makeMarkerModel;

constexpr uint64_t kPage = testing::kMarkerPageBytes;

std::shared_ptr<const library::LoadedModel> modelOf(uint32_t context) {
    testing::MarkerOptions options;
    options.context = context;
    return makeMarkerModel("m" + std::to_string(context), options);
}

TEST(KvBudget, IsFourFullContextsWhereMemoryAllows) {
    KvBudget budget(0, 0, [] { return uint64_t{1} << 40; });
    EXPECT_EQ(budget.bytes(), 0u);
    const auto model = modelOf(1000), other = modelOf(64);
    EXPECT_EQ(budget.contextOf(*model), 1000u);
    EXPECT_EQ(budget.bytes(), 4 * 16 * kPage);
    EXPECT_EQ(budget.contextOf(*model), 1000u);
    EXPECT_EQ(budget.bytes(), 4 * 16 * kPage) << "a model counts once";
    EXPECT_EQ(budget.contextOf(*other), 64u);
    EXPECT_EQ(budget.bytes(), 4 * 17 * kPage);
}

TEST(KvBudget, IsAQuarterOfFreeMemoryWhereThatIsLess) {
    KvBudget budget(0, 0, [] { return 4 * (10 * kPage + 5); });
    EXPECT_EQ(budget.contextOf(*modelOf(1000)), 640u);
    EXPECT_EQ(budget.bytes(), 10 * kPage + 5);
}

TEST(KvBudget, NeverShrinks) {
    uint64_t free = 400 * kPage;
    KvBudget budget(0, 0, [&] { return free; });
    const auto first = modelOf(1000);
    EXPECT_EQ(budget.contextOf(*first), 1000u);
    EXPECT_EQ(budget.bytes(), 64 * kPage);
    free = 8 * kPage;
    EXPECT_EQ(budget.contextOf(*modelOf(2000)), 2000u) << "the pages are there";
    EXPECT_EQ(budget.contextOf(*first), 1000u);
    EXPECT_EQ(budget.bytes(), 64 * kPage);
}

TEST(KvBudget, AModelThatIsGoneCountsNoMore) {
    KvBudget budget(0, 0, [] { return uint64_t{1} << 40; });
    for (int again = 0; again < 3; ++again)
        EXPECT_EQ(budget.contextOf(*modelOf(640)), 640u);
    EXPECT_EQ(budget.bytes(), 40 * kPage);
}

TEST(KvBudget, ACapOnTheContextCapsTheBudgetToo) {
    KvBudget budget(0, 128, [] { return uint64_t{1} << 40; });
    EXPECT_EQ(budget.contextOf(*modelOf(1000)), 128u);
    EXPECT_EQ(budget.bytes(), 8 * kPage);
}

TEST(KvBudget, ABudgetThatWasChosenStays) {
    KvBudget budget(3 * kPage, 0, [] { return uint64_t{1} << 40; });
    EXPECT_EQ(budget.contextOf(*modelOf(1000)), 192u);
    EXPECT_EQ(budget.bytes(), 3 * kPage);
}

TEST(KvBudget, TheSchedulerServesAModelThatCameLater) {
    uint64_t free = 40 * kPage;
    auto started = Scheduler::start({.threads = 1, .freeMemory = [&] { return free; }});
    ASSERT_TRUE(started.ok());
    Scheduler& scheduler = **started;
    EXPECT_EQ(scheduler.kvBytes(), 0u);
    const auto small = modelOf(200), large = modelOf(2000);
    EXPECT_EQ(testing::submit(scheduler, testing::requestFor(small, "[a*3]")).text(),
              testing::markerText("a", 3));
    EXPECT_EQ(scheduler.kvBytes(), 10 * kPage);
    free = 400 * kPage;
    EXPECT_EQ(testing::submit(scheduler, testing::requestFor(large, std::string(1500, '.') + "[b*3]")).text(),
              testing::markerText("b", 3));
    EXPECT_EQ(scheduler.kvBytes(), 100 * kPage);
}

}  // namespace
}  // namespace conclave::engine::scheduler
