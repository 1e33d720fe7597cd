// Pages that one request computed and a later one goes on from.
#include <gtest/gtest.h>

#include "engine/scheduler/scheduler.h"
#include "tests/engine/scheduler/marker_model.h"
#include "tests/engine/scheduler/recorder.h"

namespace conclave::engine::scheduler {
namespace {

using testing::makeMarkerModel;
using testing::markerText;
using testing::requestFor;
using testing::startScheduler;
using testing::submit;
using testing::Submitted;

constexpr size_t kPage = testing::kMarkerPageBytes;

std::string padded(size_t bytes, const std::string& end) {
    return std::string(bytes - end.size(), '.') + end;
}

uint32_t cachedTokensOf(Scheduler& scheduler, const GenerationRequest& request) {
    return submit(scheduler, request).wait().usage.cachedTokens;
}

TEST(Reuse, TheSamePromptIsNotComputedAgain) {
    const auto model = makeMarkerModel("m");
    auto scheduler = startScheduler();
    const GenerationRequest request = requestFor(model, padded(200, "[a*3]"));
    EXPECT_EQ(cachedTokensOf(*scheduler, request), 0u);
    const uint64_t rows = scheduler->stats().rows;
    const Submitted again = submit(*scheduler, request);
    EXPECT_EQ(again.wait().usage.cachedTokens, 192u);
    EXPECT_EQ(again.text(), markerText("a", 3));
    EXPECT_EQ(scheduler->stats().rows - rows, 8u + 11u);
}

TEST(Reuse, TheLastTokenIsAlwaysComputed) {
    const auto model = makeMarkerModel("m");
    auto scheduler = startScheduler();
    const GenerationRequest request = requestFor(model, padded(128, "[a*3]"));
    cachedTokensOf(*scheduler, request);
    const Submitted again = submit(*scheduler, request);
    EXPECT_EQ(again.wait().usage.cachedTokens, 64u);
    EXPECT_EQ(again.text(), markerText("a", 3));
}

TEST(Reuse, TheNextTurnGoesOnFromTheAnswer) {
    const auto model = makeMarkerModel("m");
    auto scheduler = startScheduler();
    const std::string first = padded(100, "[a*40]");
    const std::string answer = submit(*scheduler, requestFor(model, first)).text();
    const Submitted next = submit(*scheduler, requestFor(model, first + answer + " and [b*2]"));
    EXPECT_EQ(next.wait().usage.cachedTokens, (first.size() + answer.size()) / 64 * 64);
    EXPECT_EQ(next.text(), "b:0 b:1");
}

TEST(Reuse, OwnersAndModelsDoNotMeet) {
    const auto model = makeMarkerModel("m");
    auto scheduler = startScheduler();
    GenerationRequest request = requestFor(model, padded(200, "[a*3]"));
    cachedTokensOf(*scheduler, request);
    request.owner = base::OwnerId{1001};
    EXPECT_EQ(cachedTokensOf(*scheduler, request), 0u);
    request.owner = base::OwnerId{1000};
    request.model = makeMarkerModel("other");
    EXPECT_EQ(cachedTokensOf(*scheduler, request), 0u);
    request.model = makeMarkerModel("m");  // the same content, loaded again
    EXPECT_EQ(cachedTokensOf(*scheduler, request), 192u);
}

TEST(Reuse, CanBeSwitchedOff) {
    auto scheduler = startScheduler({.prefixCache = false});
    const GenerationRequest request = requestFor(makeMarkerModel("m"), padded(200, "[a*3]"));
    cachedTokensOf(*scheduler, request);
    EXPECT_EQ(cachedTokensOf(*scheduler, request), 0u);
    EXPECT_EQ(scheduler->stats().cachedPages, 0u);
}

TEST(Reuse, OldPagesMakeRoomForNewOnes) {
    const auto model = makeMarkerModel("m");
    auto scheduler = startScheduler({.kvBytes = 8 * kPage});
    const auto prompt = [](int n) { return std::to_string(n) + padded(200, "[a*3]"); };
    for (int n = 0; n < 6; ++n)
        EXPECT_EQ(submit(*scheduler, requestFor(model, prompt(n))).text(), markerText("a", 3));
    EXPECT_GT(scheduler->stats().evictions, 0u);
    EXPECT_EQ(scheduler->stats().preemptions, 0u);
    EXPECT_EQ(cachedTokensOf(*scheduler, requestFor(model, prompt(5))), 192u) << "the newest is still there";
    EXPECT_EQ(cachedTokensOf(*scheduler, requestFor(model, prompt(0))), 0u) << "the oldest is not";
}

TEST(Reuse, PagesBehindInvalidNumbersAreNotKept) {
    const auto model = makeMarkerModel("m");
    auto scheduler = startScheduler();
    const GenerationRequest request = requestFor(model, padded(200, "[a!0]"));
    EXPECT_EQ(submit(*scheduler, request).wait().reason, FinishReason::Failed);
    EXPECT_EQ(scheduler->stats().cachedPages, 0u);
    EXPECT_EQ(scheduler->stats().kvBytesInUse, 0u);
}

TEST(Reuse, RequestsAtTheSameTimeShareTheirPages) {
    const auto model = makeMarkerModel("m");
    auto scheduler = startScheduler({.kvBytes = 12 * kPage});
    const std::string shared(448, '.');  // seven pages
    std::vector<Submitted> runs;
    runs.push_back(submit(*scheduler, requestFor(model, shared + "[a0*20]")));
    ASSERT_TRUE(runs[0].recorder->waitForText(1));
    for (int i = 1; i < 4; ++i)
        runs.push_back(submit(*scheduler, requestFor(model, shared + "[a" + std::to_string(i) + "*5]")));
    for (int i = 1; i < 4; ++i)
        EXPECT_EQ(runs[static_cast<size_t>(i)].text(), markerText("a" + std::to_string(i), 5));
    EXPECT_EQ(runs[0].text(), markerText("a0", 20));
}

}  // namespace
}  // namespace conclave::engine::scheduler
