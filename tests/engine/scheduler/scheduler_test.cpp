#include "engine/scheduler/scheduler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <ctime>
#include <thread>

#include "engine/platform/memory.h"
#include "tests/engine/scheduler/marker_model.h"
#include "tests/engine/scheduler/recorder.h"

namespace conclave::engine::scheduler {
namespace {

using namespace std::chrono_literals;
using base::Priority;
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

TEST(Scheduler, AnswersUntilTheEndToken) {
    auto scheduler = startScheduler();
    const Submitted run = submit(*scheduler, requestFor(makeMarkerModel("m"), "go [a*3]"));
    const SequenceEvent end = run.wait();
    EXPECT_EQ(run.text(), "a:0 a:1 a:2");
    EXPECT_EQ(end.reason, FinishReason::Stop);
    EXPECT_FALSE(end.stopString);
    EXPECT_FALSE(end.error);
    EXPECT_EQ(end.usage.promptTokens, 8u);
    EXPECT_EQ(end.usage.completionTokens, 12u);  // the end token counts
    EXPECT_EQ(end.usage.cachedTokens, 0u);
    EXPECT_EQ(run.recorder->tokens().size(), 12u);
    EXPECT_EQ(run.recorder->tokens().back(), base::TokenId{testing::kMarkerEnd});
}

TEST(Scheduler, SixteenSequencesInterleaveAndKeepTheirOwnText) {
    std::atomic<size_t> mostSlices{0};
    testing::MarkerOptions options;
    options.maxRows = 40;
    options.onStep = [&](const model::Step& step) {
        mostSlices = std::max(mostSlices.load(), step.slices.size());
    };
    const auto model = makeMarkerModel("m", options);
    auto scheduler = startScheduler({.threads = 2, .chunk = 16});
    std::vector<Submitted> runs;
    for (size_t i = 0; i < 16; ++i)
        runs.push_back(
            submit(*scheduler, requestFor(model, padded(20 + i * 23, "[s" + std::to_string(i) + "*40]"))));
    for (size_t i = 0; i < 16; ++i)
        EXPECT_EQ(runs[i].text(), markerText("s" + std::to_string(i), 40));
    EXPECT_EQ(mostSlices.load(), 16u);
}

TEST(Scheduler, TheSameRequestGivesTheSameTokensAloneAndAmongOthers) {
    const auto model = makeMarkerModel("m");
    const auto request = [&](size_t i) {
        GenerationRequest out = requestFor(model, padded(30 + i * 41, "[x~]"));
        out.sampling = {.temperature = 1.3f, .topP = 0.95f, .seed = 77 + i};
        out.maxTokens = 150;
        return out;
    };
    std::vector<std::string> alone;
    for (size_t i = 0; i < 6; ++i) {
        auto scheduler = startScheduler({.prefixCache = false});
        alone.push_back(submit(*scheduler, request(i)).text());
        EXPECT_EQ(alone.back().size(), 150u);
    }
    for (uint32_t chunk : {7u, 64u, 512u})
        for (bool cache : {false, true}) {
            auto scheduler = startScheduler({.threads = 2, .chunk = chunk, .prefixCache = cache});
            for (int again = 0; again < 2; ++again) {  // the second time from warm pages, where there are any
                std::vector<Submitted> runs;
                for (size_t i = 0; i < 6; ++i)
                    runs.push_back(submit(*scheduler, request(i)));
                for (size_t i = 0; i < 6; ++i)
                    EXPECT_EQ(runs[i].text(), alone[i]) << "chunk " << chunk << " cache " << cache;
            }
        }
}

TEST(Scheduler, ChoicesAndSeedsDiffer) {
    const auto model = makeMarkerModel("m");
    auto scheduler = startScheduler({.drawSeed = [n = uint64_t{0}]() mutable { return ++n; }});
    GenerationRequest request = requestFor(model, "[x~]");
    request.sampling = {.temperature = 1};
    request.maxTokens = 40;
    const std::string drawn = submit(*scheduler, request).text(),
                      drawnNext = submit(*scheduler, request).text();
    EXPECT_NE(drawn, drawnNext);
    request.sampling.seed = 1;
    EXPECT_EQ(submit(*scheduler, request).text(), drawn);
    request.choice = 1;
    EXPECT_NE(submit(*scheduler, request).text(), drawn);
}

TEST(Scheduler, OutOfPagesTheYoungestComputesAgainAndNobodyNotices) {
    const auto model = makeMarkerModel("m");
    for (bool cache : {false, true}) {
        auto scheduler = startScheduler({.kvBytes = 9 * kPage, .chunk = 32, .prefixCache = cache});
        std::vector<Submitted> runs;
        for (size_t i = 0; i < 8; ++i)
            runs.push_back(
                submit(*scheduler, requestFor(model, padded(60 + i, "[s" + std::to_string(i) + "*50]"))));
        for (size_t i = 0; i < 8; ++i) {
            const SequenceEvent end = runs[i].wait();
            EXPECT_EQ(runs[i].text(), markerText("s" + std::to_string(i), 50));
            EXPECT_EQ(end.reason, FinishReason::Stop);
        }
        EXPECT_GT(scheduler->stats().preemptions, 0u);
        EXPECT_LE(scheduler->stats().kvBytesInUse, 9 * kPage);
    }
}

TEST(Scheduler, HigherPrioritiesGoFirstAndTheOthersComeToTheirEnd) {
    testing::MarkerOptions options;
    options.stepDelay = 500us;
    const auto model = makeMarkerModel("m", options);
    auto scheduler = startScheduler({.maxSequences = 1});
    const auto with = [&](Priority priority, const std::string& prompt) {
        GenerationRequest request = requestFor(model, prompt);
        request.priority = priority;
        return submit(*scheduler, request);
    };
    const Submitted background = with(Priority::Background, "[b*60]");
    ASSERT_TRUE(background.recorder->waitForText(4));
    const Submitted chat = with(Priority::Chat, "[c*60]");
    ASSERT_TRUE(chat.recorder->waitForText(4));
    const Submitted chatToo = with(Priority::Chat, "[d*5]");
    const Submitted interactive = with(Priority::Interactive, "[i*5]");
    EXPECT_EQ(background.text(), markerText("b", 60));
    EXPECT_EQ(chat.text(), markerText("c", 60));
    EXPECT_EQ(chatToo.text(), markerText("d", 5));
    EXPECT_EQ(interactive.text(), markerText("i", 5));
    EXPECT_LT(interactive.recorder->order(), chat.recorder->order());
    EXPECT_LT(chat.recorder->order(), chatToo.recorder->order());
    EXPECT_LT(chatToo.recorder->order(), background.recorder->order());
}

TEST(Scheduler, ACancelledStepOfOneSequenceStopsInTheMiddle) {
    testing::MarkerOptions options;
    options.stepDelay = 4s;
    std::atomic<bool> began{false};
    options.onStep = [&](const model::Step&) { began = true; };
    auto scheduler = startScheduler();
    const Submitted run = submit(*scheduler, requestFor(makeMarkerModel("m", options), "[a]"));
    while (!began)
        std::this_thread::sleep_for(1ms);
    const auto then = std::chrono::steady_clock::now();
    scheduler->cancel(run.id);
    EXPECT_EQ(run.wait().reason, FinishReason::Cancelled);
    EXPECT_LT(std::chrono::steady_clock::now() - then, 2s) << "a layer lasts half a second, the step four";
}

TEST(Scheduler, CancellingOneOfManyLeavesTheOthers) {
    testing::MarkerOptions options;
    options.stepDelay = 300us;
    const auto model = makeMarkerModel("m", options);
    auto scheduler = startScheduler({.maxSequences = 3});
    std::vector<Submitted> runs;
    for (int i = 0; i < 5; ++i)
        runs.push_back(submit(*scheduler, requestFor(model, "[s" + std::to_string(i) + "*40]")));
    ASSERT_TRUE(runs[1].recorder->waitForText(10));
    scheduler->cancel(runs[1].id);
    scheduler->cancel(runs[4].id);  // still waiting
    scheduler->cancel(base::SequenceId{12345});
    const SequenceEvent end = runs[1].wait();
    EXPECT_EQ(end.reason, FinishReason::Cancelled);
    EXPECT_GT(end.usage.completionTokens, 0u);
    EXPECT_TRUE(markerText("s1", 40).starts_with(runs[1].text()));
    EXPECT_EQ(runs[4].wait().reason, FinishReason::Cancelled);
    for (size_t i : {0u, 2u, 3u})
        EXPECT_EQ(runs[i].text(), markerText("s" + std::to_string(i), 40));
}

TEST(Scheduler, StopStringsSpanTokensAndAreNotShown) {
    const auto model = makeMarkerModel("m");
    auto scheduler = startScheduler();
    GenerationRequest request = requestFor(model, "[a]");
    request.stop = {"never", " a:12 ", "a:13"};
    Submitted run = submit(*scheduler, request);
    EXPECT_EQ(run.wait().reason, FinishReason::Stop);
    EXPECT_EQ(run.text(), markerText("a", 12));
    EXPECT_EQ(run.wait().stopString, " a:12 ");

    request.stop = {"a:2 b"};  // begins again and again, and is never completed
    request.maxTokens = 20;
    run = submit(*scheduler, request);
    EXPECT_EQ(run.wait().reason, FinishReason::Length);
    EXPECT_FALSE(run.wait().stopString);
    EXPECT_EQ(run.text(), markerText("a", 6).substr(0, 20));
}

TEST(Scheduler, EndsWithLength) {
    testing::MarkerOptions options;
    options.context = 200;
    const auto model = makeMarkerModel("m", options);
    auto scheduler = startScheduler();
    GenerationRequest request = requestFor(model, padded(150, "[a]"));
    SequenceEvent end = submit(*scheduler, request).wait();
    EXPECT_EQ(end.reason, FinishReason::Length) << "at the end of the context";
    EXPECT_EQ(end.usage.completionTokens, 50u);
    request.maxTokens = 7;
    Submitted run = submit(*scheduler, request);
    end = run.wait();
    EXPECT_EQ(end.reason, FinishReason::Length);
    EXPECT_EQ(end.usage.completionTokens, 7u);
    EXPECT_EQ(run.text(), markerText("a", 3).substr(0, 7));
    request.maxTokens = 1000;
    EXPECT_EQ(submit(*scheduler, request).wait().usage.completionTokens, 50u);
    request.maxTokens = 0;
    run = submit(*scheduler, request);
    EXPECT_EQ(run.wait().reason, FinishReason::Length);
    EXPECT_EQ(run.wait().usage.completionTokens, 0u);
    EXPECT_EQ(run.text(), "");
    request = requestFor(model, padded(200, "[a]"));
    EXPECT_EQ(submit(*scheduler, request).wait().usage.completionTokens, 0u)
        << "a prompt that fills the context";
}

TEST(Scheduler, TheContextIsCappedByTheOptionAndByTheBudget) {
    const auto model = makeMarkerModel("m");
    EXPECT_EQ(startScheduler()->contextOf(*model), 4096u);
    EXPECT_EQ(startScheduler({.context = 100})->contextOf(*model), 100u);
    auto scheduler = startScheduler({.kvBytes = 3 * kPage + 5});
    EXPECT_EQ(scheduler->contextOf(*model), 192u);
    const Submitted run = submit(*scheduler, requestFor(model, padded(100, "[a]")));
    EXPECT_EQ(run.wait().reason, FinishReason::Length);
    EXPECT_EQ(run.wait().usage.completionTokens, 92u);
    EXPECT_EQ(run.text(), markerText("a", 30).substr(0, 92));
}

TEST(Scheduler, ACharacterOfSeveralTokensComesWhole) {
    auto scheduler = startScheduler();  // the recorder refuses half characters
    EXPECT_EQ(submit(*scheduler, requestFor(makeMarkerModel("m"), "[é😀*4]")).text(), markerText("é😀", 4));
    GenerationRequest request = requestFor(makeMarkerModel("m"), "[é]");
    request.maxTokens = 1;
    EXPECT_EQ(submit(*scheduler, request).text(), "\xEF\xBF\xBD")
        << "an answer cut in the middle of a character";
}

TEST(Scheduler, InvalidNumbersEndOneSequenceAndTheOthersGoOn) {
    const auto model = makeMarkerModel("m");
    auto scheduler = startScheduler();
    const Submitted good = submit(*scheduler, requestFor(model, "[g*60]"));
    const Submitted bad = submit(*scheduler, requestFor(model, padded(100, "[b!2]")));
    const Submitted too = submit(*scheduler, requestFor(model, "[h*60]"));
    const SequenceEvent end = bad.wait();
    EXPECT_EQ(end.reason, FinishReason::Failed);
    ASSERT_TRUE(end.error);
    EXPECT_EQ(end.error->code, base::Code::InvalidNumbers);
    EXPECT_EQ(bad.text(), "b:0 b:1");
    EXPECT_EQ(good.text(), markerText("g", 60));
    EXPECT_EQ(too.text(), markerText("h", 60));
}

TEST(Scheduler, ShutdownCancelsWhatRunsAndWhatWaits) {
    testing::MarkerOptions options;
    options.stepDelay = 100ms;
    const auto model = makeMarkerModel("m", options);
    auto scheduler = startScheduler({.maxSequences = 2});
    std::vector<Submitted> runs;
    for (int i = 0; i < 5; ++i)
        runs.push_back(submit(*scheduler, requestFor(model, "[a]")));
    scheduler.reset();
    for (const Submitted& run : runs)
        EXPECT_EQ(run.wait().reason, FinishReason::Cancelled);
}

TEST(Scheduler, AnOwnerSeesOnlyItsOwnSequences) {
    testing::MarkerOptions options;
    options.stepDelay = 1ms;
    const auto model = makeMarkerModel("m", options);
    auto scheduler = startScheduler({.maxSequences = 1});
    GenerationRequest request = requestFor(model, "[a]");
    const Submitted mine = submit(*scheduler, request);
    request.owner = base::OwnerId{1001};
    request.priority = Priority::Background;
    const Submitted theirs = submit(*scheduler, request);
    ASSERT_TRUE(mine.recorder->waitForText(4));
    const auto seen = scheduler->sequences(base::OwnerId{1000});
    ASSERT_EQ(seen.size(), 1u);
    EXPECT_EQ(seen[0].id, mine.id);
    EXPECT_EQ(seen[0].model, "m");
    EXPECT_EQ(seen[0].promptTokens, 3u);
    EXPECT_GT(seen[0].generatedTokens, 0u);
    EXPECT_EQ(seen[0].state, SequenceInfo::State::Decode);
    const auto other = scheduler->sequences(base::OwnerId{1001});
    ASSERT_EQ(other.size(), 1u);
    EXPECT_EQ(other[0].id, theirs.id);
    EXPECT_EQ(other[0].state, SequenceInfo::State::Waiting);
    EXPECT_EQ(other[0].priority, Priority::Background);
    EXPECT_TRUE(scheduler->sequences(base::OwnerId{0}).empty());
    scheduler->cancel(mine.id);
    mine.wait();
    EXPECT_TRUE(scheduler->sequences(base::OwnerId{1000}).empty());
}

TEST(Scheduler, SeveralModelsAtOnce) {
    auto scheduler = startScheduler({.threads = 2});
    std::vector<Submitted> runs;
    for (int i = 0; i < 6; ++i)
        runs.push_back(submit(*scheduler, requestFor(makeMarkerModel("m" + std::to_string(i % 3)),
                                                     "[m" + std::to_string(i) + "*30]")));
    for (int i = 0; i < 6; ++i)
        EXPECT_EQ(runs[static_cast<size_t>(i)].text(), markerText("m" + std::to_string(i), 30));
}

TEST(Scheduler, SubmitRefusesWhatCannotRun) {
    const auto model = makeMarkerModel("m");
    auto scheduler = startScheduler({.context = 100});
    const auto codeOf = [&](GenerationRequest request) {
        request.onEvent = [](const SequenceEvent&) { ADD_FAILURE() << "an event of a refused request"; };
        const auto id = scheduler->submit(request);
        return id.ok() ? base::Code::Internal : id.error().code;
    };
    EXPECT_EQ(codeOf(requestFor(model, "")), base::Code::BadArgument);
    EXPECT_EQ(codeOf(requestFor(model, std::string(101, 'a'))), base::Code::ContextExceeded);
    GenerationRequest request = requestFor(model, "a");
    request.prompt.push_back(base::TokenId{static_cast<int32_t>(testing::kMarkerVocabulary)});
    EXPECT_EQ(codeOf(request), base::Code::TokenOutOfRange);
    request.prompt.back() = base::TokenId{-1};
    EXPECT_EQ(codeOf(request), base::Code::TokenOutOfRange);
    scheduler = startScheduler({.kvBytes = kPage - 1});
    EXPECT_EQ(codeOf(requestFor(model, "a")), base::Code::KvBudget);
}

TEST(Scheduler, StartRefusesWhatTheMachineLacks) {
    auto started = Scheduler::start({.threads = 100'000, .kvBytes = 1 << 20});
    ASSERT_FALSE(started.ok());
    EXPECT_EQ(started.error().code, base::Code::TooManyThreads);
    started = Scheduler::start({.threads = 1, .kvBytes = uint64_t{1} << 60});
    ASSERT_FALSE(started.ok());
    EXPECT_EQ(started.error().code, base::Code::OutOfMemory);
}

TEST(Scheduler, AFailedAllocationOfPagesIsNoFailureOfTheRequest) {
    auto scheduler = startScheduler();
    platform::failAllocationAfter(1);
    const Submitted run = submit(*scheduler, requestFor(makeMarkerModel("m"), padded(300, "[a*3]")));
    EXPECT_EQ(run.text(), markerText("a", 3));
    platform::failAllocationAfter(0);
}

TEST(Scheduler, IdleUsesNoProcessor) {
    auto scheduler = startScheduler({.threads = 2});
    submit(*scheduler, requestFor(makeMarkerModel("m"), "[a*3]")).wait();
    std::this_thread::sleep_for(20ms);
    const std::clock_t before = std::clock();  // of the whole process
    std::this_thread::sleep_for(500ms);
    EXPECT_LT(static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC, 0.003);
}

}  // namespace
}  // namespace conclave::engine::scheduler
