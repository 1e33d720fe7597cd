// What a request may wish of its answer: several choices, a least length, penalties, log probabilities.
#include <gtest/gtest.h>

#include <cmath>

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

/// Letters whose odds depend on every token before.
GenerationRequest wandering(const std::shared_ptr<const library::LoadedModel>& model, size_t prompt,
                            uint32_t tokens) {
    GenerationRequest request = requestFor(model, padded(prompt, "[w~]"));
    request.sampling = {.temperature = 1, .seed = 77};
    request.maxTokens = tokens;
    return request;
}

TEST(Wishes, AnEndComesNotBeforeTheLeastTokens) {
    const auto model = makeMarkerModel("m");
    auto scheduler = startScheduler();
    GenerationRequest request = requestFor(model, "[a*2]");  // seven tokens, then the end
    request.maxTokens = 40;
    request.minTokens = 7;
    EXPECT_EQ(submit(*scheduler, request).text(), markerText("a", 2));
    request.minTokens = 12;
    const Submitted run = submit(*scheduler, request);
    const SequenceEvent end = run.wait();
    EXPECT_GE(end.usage.completionTokens, 12u);
    const std::vector<base::TokenId> tokens = run.recorder->tokens();
    for (size_t i = 0; i < 12; ++i)
        EXPECT_NE(base::toInt(tokens[i]), testing::kMarkerEnd) << i;
}

TEST(Wishes, AnIgnoredEndIsATokenLikeAnyOther) {
    const auto model = makeMarkerModel("m");
    auto scheduler = startScheduler();
    GenerationRequest request = requestFor(model, "[a*2]");
    request.maxTokens = 15;
    request.minTokens = 15;  // masks nothing then
    request.ignoreEnd = true;
    const Submitted run = submit(*scheduler, request);
    EXPECT_EQ(run.wait().reason, FinishReason::Length);
    EXPECT_EQ(run.wait().usage.completionTokens, 15u);
    EXPECT_EQ(base::toInt(run.recorder->tokens()[7]), testing::kMarkerEnd);
}

TEST(Wishes, ABiasThatLeavesNothingIsTheRequestsFault) {
    const auto model = makeMarkerModel("m");
    auto scheduler = startScheduler();
    GenerationRequest request = requestFor(model, "[a*2]");
    for (int32_t id = 0; id < static_cast<int32_t>(testing::kMarkerVocabulary); ++id)
        request.sampling.bias.push_back({base::TokenId{id}, -std::numeric_limits<float>::infinity()});
    const SequenceEvent end = submit(*scheduler, request).wait();
    EXPECT_EQ(end.reason, FinishReason::Failed);
    EXPECT_EQ(end.error->code, base::Code::BadArgument);
    request.sampling.bias = {{base::TokenId{static_cast<int32_t>(testing::kMarkerVocabulary)}, 1}};
    request.onEvent = [](const SequenceEvent&) { ADD_FAILURE() << "an event of a refused request"; };
    const auto refused = scheduler->submit(request);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, base::Code::TokenOutOfRange);
    EXPECT_EQ(refused.error().field, "logit_bias");
}

TEST(Wishes, ChoicesShareThePromptAndAreThoseOfSingleRequests) {
    const auto model = makeMarkerModel("m");
    std::vector<std::string> alone;
    for (uint32_t choice = 0; choice < 4; ++choice) {
        GenerationRequest request = wandering(model, 300, 60);
        request.choice = choice;
        auto scheduler = startScheduler();
        alone.push_back(submit(*scheduler, request).text());
        EXPECT_TRUE(choice == 0 || alone[choice] != alone[0]);
    }
    auto scheduler = startScheduler();
    std::vector<Submitted> runs;
    for (uint32_t choice = 0; choice < 4; ++choice) {
        GenerationRequest request = wandering(model, 300, 60);
        request.choice = choice;
        if (choice > 0) request.after = runs[0].id;
        runs.push_back(submit(*scheduler, request));
    }
    for (uint32_t choice = 0; choice < 4; ++choice) {
        EXPECT_EQ(runs[choice].text(), alone[choice]) << choice;
        EXPECT_EQ(runs[choice].wait().usage.cachedTokens, choice == 0 ? 0u : 256u);
    }
    // 300 tokens of prompt once, 44 after the shared pages three times, and what was generated but the last.
    EXPECT_EQ(scheduler->stats().rows, 300u + 3 * 44 + 4 * 59);
}

TEST(Wishes, FollowersDoNotWaitForWhatIsGone) {
    testing::MarkerOptions options;
    options.stepDelay = std::chrono::milliseconds(2);
    const auto model = makeMarkerModel("m", options);
    for (const bool cache : {true, false}) {
        auto scheduler = startScheduler({.chunk = 4, .prefixCache = cache});
        const Submitted leader = submit(*scheduler, wandering(model, 300, 20));
        GenerationRequest request = wandering(model, 300, 20);
        request.after = leader.id;
        const Submitted follower = submit(*scheduler, request);
        request.after = base::SequenceId{12345};  // nobody
        const Submitted other = submit(*scheduler, request);
        scheduler->cancel(leader.id);
        EXPECT_EQ(leader.wait().reason, FinishReason::Cancelled);
        EXPECT_EQ(follower.wait().usage.completionTokens, 20u);
        EXPECT_EQ(follower.text(), other.text());
    }
}

TEST(Wishes, PreemptionChangesNeitherDrawsNorPenalties) {
    const auto model = makeMarkerModel("m");
    const auto request = [&](int n) {
        GenerationRequest out = wandering(model, 100 + static_cast<size_t>(n), 200);
        out.sampling.penalties = {.repetition = 1.2f, .frequency = 0.3f, .presence = 0.4f};
        if (n % 2 == 1) out.sampling.penalties.lastTokens = 64;
        out.sampling.typicalP = 0.95f;
        out.sampling.logprobs = 2;
        out.choice = static_cast<uint32_t>(n);
        return out;
    };
    std::vector<std::string> alone;
    for (int n = 0; n < 4; ++n) {
        auto scheduler = startScheduler();
        alone.push_back(submit(*scheduler, request(n)).text());
        EXPECT_EQ(alone.back().size(), 200u);
    }
    auto scheduler = startScheduler({.kvBytes = 9 * kPage, .prefixCache = false});
    std::vector<Submitted> runs;
    for (int n = 0; n < 4; ++n)
        runs.push_back(submit(*scheduler, request(n)));
    for (size_t n = 0; n < 4; ++n)
        EXPECT_EQ(runs[n].text(), alone[n]) << n;
    EXPECT_GT(scheduler->stats().preemptions, 0u) << "the test has lost its point";
}

TEST(Wishes, LogprobsAreThoseOfTheModel) {
    const auto model = makeMarkerModel("m");
    auto scheduler = startScheduler();
    GenerationRequest request = requestFor(model, "[a*2]");
    request.sampling.logprobs = 1;
    std::vector<TokenDetail> details;
    Submitted run;
    request.onEvent = [&, recorder = run.recorder](const SequenceEvent& event) {
        details.insert(details.end(), event.details.begin(), event.details.end());
        recorder->take(event);
    };
    ASSERT_TRUE(scheduler->submit(request).ok());
    EXPECT_EQ(run.wait().usage.completionTokens, 8u);
    ASSERT_EQ(details.size(), 8u);
    const double certain = -std::log1p((testing::kMarkerVocabulary - 1) * std::exp(-40.0));
    for (size_t i = 0; i < details.size(); ++i) {
        EXPECT_NEAR(details[i].logprobs.chosen.logprob, certain, 1e-15);
        EXPECT_EQ(details[i].logprobs.top.at(0).token, details[i].logprobs.chosen.token);
        EXPECT_EQ(details[i].textOffset, i);
    }
}

}  // namespace
}  // namespace conclave::engine::scheduler
