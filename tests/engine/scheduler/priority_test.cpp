// A request of higher priority does not wait for the end of a step, and the others come to theirs all the
// same.
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "engine/scheduler/scheduler.h"
#include "tests/engine/scheduler/marker_model.h"
#include "tests/engine/scheduler/recorder.h"

namespace conclave::engine::scheduler {
namespace {

using namespace std::chrono_literals;
using base::Priority;
using std::chrono::microseconds;
using testing::makeMarkerModel;
using testing::markerText;
using testing::median;
using testing::requestFor;
using testing::startScheduler;
using testing::submit;
using testing::Submitted;

std::string padded(size_t bytes, const std::string& end) {
    return std::string(bytes - end.size(), '.') + end;
}

Submitted submitAs(Scheduler& scheduler, Priority priority, GenerationRequest request) {
    request.priority = priority;
    return submit(scheduler, std::move(request));
}

/// From the submission of an Interactive request to its first text.
microseconds firstTokenTime(Scheduler& scheduler, const std::shared_ptr<const library::LoadedModel>& model) {
    const auto then = std::chrono::steady_clock::now();
    const Submitted run = submitAs(scheduler, Priority::Interactive, requestFor(model, padded(24, "[i*2]")));
    EXPECT_EQ(run.text(), markerText("i", 2));
    return std::chrono::duration_cast<microseconds>(run.recorder->firstText() - then);
}

TEST(Priorities, InteractiveWaitsForOneLayerOfABackgroundPrefill) {
    constexpr microseconds kRow{400};
    constexpr microseconds kLayer = kRow * 256 / testing::kMarkerLayers;
    testing::MarkerOptions options;
    options.rowDelay = kRow;  // a chunk of 256 tokens takes 102 ms, a layer of it 13
    const auto model = makeMarkerModel("m", options);
    auto scheduler = startScheduler({.prefixCache = false});
    std::vector<microseconds> alone, during;
    for (int i = 0; i < 3; ++i)
        alone.push_back(firstTokenTime(*scheduler, model));
    for (int i = 0; i < 5; ++i) {  // at another place in the chunk each time
        const Submitted background =
            submitAs(*scheduler, Priority::Background, requestFor(model, padded(2048, "[b*2]")));
        std::this_thread::sleep_for(30ms + i * 17ms);
        during.push_back(firstTokenTime(*scheduler, model));
        EXPECT_EQ(background.recorder->texts(), 0u) << "its prompt is still being computed";
        scheduler->cancel(background.id);
        background.wait();
    }
    EXPECT_GE(scheduler->stats().stoppedSteps, 3u);  // one may arrive between two steps
    // In the median: a busy machine may be late once.
    EXPECT_LE(median(during), median(alone) + kLayer + 10ms)
        << "alone " << median(alone).count() << " us, a layer " << kLayer.count() << " us";
    std::printf("first token alone %lld us, during a Background prefill %lld us, one layer %lld us\n",
                static_cast<long long>(median(alone).count()), static_cast<long long>(median(during).count()),
                static_cast<long long>(kLayer.count()));
}

TEST(Priorities, AnInterruptedPrefillGivesTheSameAnswer) {
    testing::MarkerOptions options;
    options.rowDelay = 200us;
    const auto model = makeMarkerModel("m", options);
    GenerationRequest wandering = requestFor(model, padded(700, "[x~]"));
    wandering.sampling = {.temperature = 1.2f, .seed = 5};
    wandering.maxTokens = 40;
    const std::string alone = submit(*startScheduler(), wandering).text();
    auto scheduler = startScheduler();
    const Submitted background = submitAs(*scheduler, Priority::Background, wandering);
    for (int i = 0; i < 4; ++i) {
        std::this_thread::sleep_for(3ms);
        const Submitted other =
            submitAs(*scheduler, i % 2 ? Priority::Chat : Priority::Interactive, requestFor(model, "[c*1]"));
        EXPECT_EQ(other.text(), markerText("c", 1));
    }
    EXPECT_EQ(background.text(), alone);
    EXPECT_GT(scheduler->stats().stoppedSteps, 0u);
}

TEST(Priorities, WhatIsInterruptedAgainAndAgainStillEnds) {
    testing::MarkerOptions options;
    options.stepDelay = 3ms;
    options.rowDelay = 100us;  // a chunk takes longer than any pause between the others
    const auto model = makeMarkerModel("m", options);
    auto scheduler = startScheduler();
    const Submitted background =
        submitAs(*scheduler, Priority::Background, requestFor(model, padded(600, "[b*3]")));
    std::atomic<bool> over{false};
    size_t served = 0;
    std::thread typing([&] {
        for (; !over; ++served) {
            GenerationRequest request = requestFor(model, "[i*1]");
            request.maxTokens = 1;
            submitAs(*scheduler, Priority::Interactive, request).wait();
            std::this_thread::sleep_for(2ms);
        }
    });
    EXPECT_EQ(background.text(), markerText("b", 3));
    over = true;
    typing.join();
    EXPECT_GT(scheduler->stats().stoppedSteps, 5u);
    EXPECT_GT(served, 10u);
}

TEST(Priorities, EqualsDoNotInterruptEachOther) {
    testing::MarkerOptions options;
    options.stepDelay = 4ms;
    const auto model = makeMarkerModel("m", options);
    auto scheduler = startScheduler();
    std::vector<Submitted> runs;
    for (int i = 0; i < 8; ++i) {
        runs.push_back(
            submitAs(*scheduler, i < 4 ? Priority::Chat : Priority::Background, requestFor(model, "[a*3]")));
        std::this_thread::sleep_for(1ms);
    }
    for (const Submitted& run : runs)
        EXPECT_EQ(run.text(), markerText("a", 3));
    EXPECT_EQ(scheduler->stats().stoppedSteps, 0u);
}

}  // namespace
}  // namespace conclave::engine::scheduler
