#include "engine/scheduler/metrics.h"

#include <gtest/gtest.h>

#include <numeric>

#include "engine/scheduler/scheduler.h"
#include "tests/engine/scheduler/marker_model.h"
#include "tests/engine/scheduler/recorder.h"

namespace conclave::engine::scheduler {
namespace {

using namespace std::chrono_literals;
using testing::makeMarkerModel;
using testing::requestFor;
using testing::startScheduler;
using testing::submit;
using testing::Submitted;

uint64_t all(const HistogramCounts& counts) {
    return std::accumulate(counts.counts.begin(), counts.counts.end(), uint64_t{0});
}

TEST(Histogram, AValueOnABoundIsBelowIt) {
    Histogram histogram;
    for (const auto duration : {0ms, 1ms, 2ms, 1000ms})
        histogram.add(duration);
    histogram.add(1h);
    const HistogramCounts counts = histogram.read();
    ASSERT_EQ(counts.counts.size(), counts.bounds.size() + 1);
    EXPECT_EQ(counts.bounds[0], 0.001);
    EXPECT_EQ(counts.counts[0], 2u);
    EXPECT_EQ(counts.counts[1], 1u);
    EXPECT_EQ(counts.counts.back(), 1u);
    EXPECT_EQ(all(counts), 5u);
    EXPECT_DOUBLE_EQ(counts.sum, 0.001 + 0.002 + 1 + 3600);
}

TEST(Metrics, CountWhatHappensToEachModel) {
    auto scheduler = startScheduler();
    const auto model = makeMarkerModel("m");
    const std::string prompt = std::string(195, '.') + "[a*3]";
    for (int i = 0; i < 2; ++i)
        submit(*scheduler, requestFor(model, prompt)).wait();
    GenerationRequest request = requestFor(model, "[a]");
    request.maxTokens = 5;
    submit(*scheduler, request).wait();
    submit(*scheduler, requestFor(makeMarkerModel("other"), "[a!0]")).wait();
    scheduler->stats();
    const std::vector<ModelCounts> models = scheduler->metrics().models();
    ASSERT_EQ(models.size(), 2u);
    const ModelCounts& m = models[0];
    EXPECT_EQ(m.model, "m");
    EXPECT_EQ(m.finished, (std::array<uint64_t, 4>{2, 1, 0, 0}));
    EXPECT_EQ(m.promptTokens, 403u);
    EXPECT_EQ(m.cachedTokens, 192u);
    EXPECT_EQ(m.generatedTokens, 12u + 12u + 5u);
    EXPECT_EQ(all(m.firstToken), 3u);
    EXPECT_EQ(all(m.betweenTokens), 11u + 11u + 4u);
    EXPECT_EQ(models[1].finished, (std::array<uint64_t, 4>{0, 0, 0, 1}));
    EXPECT_EQ(all(scheduler->metrics().step.read()), scheduler->stats().steps);
    EXPECT_EQ(scheduler->stats().lookups, 4u);
    EXPECT_EQ(scheduler->stats().hits, 1u);
}

TEST(Metrics, CountSequencesByPriorityAndState) {
    testing::MarkerOptions options;
    options.stepDelay = 2ms;
    const auto model = makeMarkerModel("m", options);
    auto scheduler = startScheduler({.maxSequences = 1});
    GenerationRequest request = requestFor(model, "[a]");
    const Submitted runs = submit(*scheduler, request);
    request.priority = base::Priority::Background;
    request.owner = base::OwnerId{7};
    const Submitted waits = submit(*scheduler, request);
    ASSERT_TRUE(runs.recorder->waitForText(2));
    const auto counts = scheduler->counts();
    EXPECT_EQ(counts[1].running, 1u);
    EXPECT_EQ(counts[1].waiting, 0u);
    EXPECT_EQ(counts[2].waiting, 1u);
    EXPECT_EQ(counts[0].running + counts[0].waiting, 0u);
    scheduler->cancel(runs.id);
    scheduler->cancel(waits.id);
    waits.wait();
}

TEST(Metrics, FiveHundredCancelledSequencesLeaveNothing) {
    testing::MarkerOptions options;
    options.stepDelay = 100us;
    const auto model = makeMarkerModel("m", options);
    auto scheduler = startScheduler({.kvBytes = 300 * testing::kMarkerPageBytes, .prefixCache = false});
    std::vector<Submitted> runs;
    for (size_t i = 0; i < 500; ++i) {
        runs.push_back(submit(*scheduler, requestFor(model, std::string(i % 300, '.') + "[a]")));
        if (i % 3 == 0) runs.back().recorder->waitForText(1);
        if (i >= 20) scheduler->cancel(runs[i - 20].id);  // waiting, in its prompt, or in its answer
    }
    for (const Submitted& run : runs)
        scheduler->cancel(run.id);
    for (const Submitted& run : runs)
        EXPECT_EQ(run.wait().reason, FinishReason::Cancelled);
    EXPECT_EQ(scheduler->metrics().models().front().finished[2], 500u);
    EXPECT_EQ(scheduler->stats().kvBytesInUse, 0u);
    EXPECT_TRUE(scheduler->sequences(base::OwnerId{1000}).empty());
}

}  // namespace
}  // namespace conclave::engine::scheduler
