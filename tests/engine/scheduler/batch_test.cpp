#include "engine/scheduler/batch.h"

#include <gtest/gtest.h>

#include <memory>

#include "tests/engine/scheduler/marker_model.h"

namespace conclave::engine::scheduler {
namespace {

using base::Priority;

/// Sequences without a scheduler around them.
struct BatchTest : ::testing::Test {
    std::shared_ptr<const library::LoadedModel> model = testing::makeMarkerModel("a");
    std::shared_ptr<const library::LoadedModel> other = testing::makeMarkerModel("b");
    std::vector<std::unique_ptr<Sequence>> all;
    std::vector<Sequence*> running;
    ModelMetrics metrics;

    Sequence& add(Priority priority, uint32_t prompt, bool decodes,
                  std::shared_ptr<const library::LoadedModel> of = nullptr) {
        GenerationRequest request;
        request.priority = priority;
        request.model = of ? of : model;
        request.prompt.assign(prompt, base::TokenId{'a'});
        request.onEvent = [](const SequenceEvent&) {};
        all.push_back(
            std::make_unique<Sequence>(base::SequenceId{all.size() + 1}, request, 0, 1000, metrics));
        Sequence& sequence = *all.back();
        if (decodes) {
            sequence.answer.accept({.token = base::TokenId{'b'}});
            sequence.computed = prompt;
            sequence.tokens.push_back(base::TokenId{'b'});
        }
        running.push_back(&sequence);
        std::ranges::sort(running, [](const Sequence* a, const Sequence* b) { return goesBefore(*a, *b); });
        return sequence;
    }
    std::vector<uint32_t> rows(const BatchLimits& limits) {
        std::vector<uint32_t> out(all.size(), 0);
        for (const BatchPart& part : planBatch(running, limits))
            out[base::toInt(part.sequence->id) - 1] = part.rows;
        return out;
    }
};

using Rows = std::vector<uint32_t>;

TEST_F(BatchTest, TakesEveryAnswerAndThenPrompts) {
    add(Priority::Chat, 10, true);
    add(Priority::Chat, 1000, false);
    add(Priority::Chat, 5, true);
    EXPECT_EQ(rows({512, 256}), (Rows{1, 256, 1}));
    EXPECT_EQ(rows({100, 256}), (Rows{1, 98, 1}));
}

TEST_F(BatchTest, PromptsShareTheRowsInTheOrderTheyCame) {
    add(Priority::Chat, 300, false);
    add(Priority::Chat, 300, false);
    add(Priority::Chat, 20, false);
    EXPECT_EQ(rows({512, 256}), (Rows{256, 256, 0}));
    EXPECT_EQ(rows({600, 256}), (Rows{256, 256, 20}));
}

TEST_F(BatchTest, APromptOfLowerPriorityGetsASixteenth) {
    add(Priority::Background, 1000, false);
    add(Priority::Chat, 10, true);
    EXPECT_EQ(rows({512, 256}), (Rows{16, 1}));
}

TEST_F(BatchTest, APromptWaitsForOneOfHigherPriorityButNotForEver) {
    Sequence& background = add(Priority::Background, 1000, false);
    add(Priority::Chat, 10, true);
    add(Priority::Interactive, 40, false);
    background.admittedStep = 3;
    EXPECT_EQ(rows({512, 256, 3}), (Rows{0, 1, 40})) << "an answer under way goes on";
    EXPECT_EQ(rows({512, 256, 3 + kPatience}), (Rows{0, 1, 40}));
    EXPECT_EQ(rows({512, 256, 4 + kPatience}), (Rows{16, 1, 40}));
    background.lastStep = 5 + kPatience;
    EXPECT_EQ(rows({512, 256, 5 + kPatience}), (Rows{0, 1, 40}));
}

TEST_F(BatchTest, InterruptionsHalveTheChunk) {
    Sequence& first = add(Priority::Background, 1000, false);
    add(Priority::Background, 1000, false);
    for (const uint32_t expected : {256u, 128u, 64u, 32u, 16u, 16u}) {
        EXPECT_EQ(rows({512, 256}), (Rows{expected, expected})) << first.interrupted;
        ++first.interrupted;
    }
    add(Priority::Interactive, 400, false);
    EXPECT_EQ(rows({512, 256}), (Rows{0, 0, 256})) << "whoever interrupts has whole chunks";
}

TEST_F(BatchTest, AnswersThatDoNotFitTakeTurns) {
    for (int i = 0; i < 6; ++i)
        add(Priority::Chat, 10, true).lastStep = static_cast<uint64_t>(6 - i);
    EXPECT_EQ(rows({4, 256}), (Rows{0, 0, 1, 1, 1, 1}));
    add(Priority::Chat, 10, false);
    EXPECT_EQ(rows({4, 256}), (Rows{0, 0, 0, 1, 1, 1, 1})) << "prompts keep an eighth, at least one row";
}

TEST_F(BatchTest, NeverTakesMoreThanTheStepHolds) {
    for (uint32_t limit : {1u, 2u, 3u, 8u, 17u, 64u})
        for (int decoding : {0, 1, 5, 40})
            for (int prompts : {0, 1, 3}) {
                all.clear(), running.clear();
                for (int i = 0; i < decoding; ++i)
                    add(i % 2 ? Priority::Chat : Priority::Background, 3, true);
                for (int i = 0; i < prompts; ++i)
                    add(i % 2 ? Priority::Chat : Priority::Background, 30, false);
                uint32_t sum = 0;
                for (uint32_t n : rows({limit, 16}))
                    sum += n;
                EXPECT_LE(sum, limit);
                EXPECT_EQ(sum > 0, decoding + prompts > 0);
            }
}

TEST_F(BatchTest, ModelsTakeTurnsWithinAPriority) {
    Sequence& a = add(Priority::Chat, 10, true);
    Sequence& b = add(Priority::Chat, 10, true, other);
    a.lastStep = 7, b.lastStep = 6;
    EXPECT_EQ(modelsInOrder(running, 7).front().front(), &b);
    b.lastStep = 8;
    EXPECT_EQ(modelsInOrder(running, 8).front().front(), &a);
}

TEST_F(BatchTest, AModelOfLowerPriorityIsNotPassedOverForEver) {
    Sequence& background = add(Priority::Background, 10, false, other);
    Sequence& chat = add(Priority::Chat, 10, true);
    background.admittedStep = 3;
    for (uint64_t step = 3; step < 30; ++step) {
        chat.lastStep = step;
        const auto order = modelsInOrder(running, step);
        ASSERT_EQ(order.size(), 2u);
        EXPECT_EQ(order.front().front(), step <= 19 ? &chat : &background) << step;
    }
}

}  // namespace
}  // namespace conclave::engine::scheduler
