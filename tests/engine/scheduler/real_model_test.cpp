// The same request gives the same tokens alone, among others, from warm pages and after pre-emption: with
// real forward passes of every family.
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/library/library.h"
#include "engine/scheduler/scheduler.h"
#include "tests/engine/scheduler/recorder.h"

namespace conclave::engine::scheduler {
namespace {

using testing::startScheduler;
using testing::submit;
using testing::Submitted;

/// By the name of a folder in tests/fixtures/models.
struct RealModel : ::testing::TestWithParam<const char*> {
    std::shared_ptr<const library::LoadedModel> model;

    void SetUp() override {
        model::LoadOptions options;
        options.maxRows = 96;
        auto loaded = library::loadPath(
            CONCLAVE_SOURCE_DIR "/tests/fixtures/models/" + std::string(GetParam()), "", options);
        ASSERT_TRUE(loaded.ok()) << base::render(loaded.error());
        library::LoadedModel endless = **loaded;
        endless.endTokens.clear();  // or the weights would decide how many pages an answer needs
        model = std::make_shared<const library::LoadedModel>(std::move(endless));
    }

    GenerationRequest request(uint32_t i) const {
        GenerationRequest out;
        out.model = model;
        out.sampling.temperature = i % 2 ? 1.0f : 0.0f;
        out.sampling.seed = i;
        out.maxTokens = 130;  // two pages more: further than admission looks ahead
        const auto words = static_cast<uint32_t>(model->tokenizer->size());
        for (uint32_t n = 0; n < 20 + i * 17; ++n)
            out.prompt.push_back(
                base::TokenId{static_cast<int32_t>((n * n * 31 + n + n / 64 * i) % (words / 2))});
        return out;
    }
};

TEST_P(RealModel, TheSameTokensHoweverItRuns) {
    constexpr uint32_t kRequests = 5;
    std::vector<std::vector<base::TokenId>> alone;
    for (uint32_t i = 0; i < kRequests; ++i) {
        auto scheduler = startScheduler({.prefixCache = false});
        const Submitted run = submit(*scheduler, request(i));
        EXPECT_NE(run.wait().reason, FinishReason::Failed);
        alone.push_back(run.recorder->tokens());
        EXPECT_EQ(alone.back().size(), 130u);
    }
    const uint64_t page = model->model->kv.pageBytes;
    uint64_t preemptions = 0, cachedTokens = 0;
    for (const SchedulerOptions& options : {SchedulerOptions{.threads = 2, .kvBytes = 64 * page, .chunk = 33},
                                            SchedulerOptions{.threads = 1, .kvBytes = 5 * page}}) {
        auto scheduler = startScheduler(options);
        for (int again = 0; again < 2; ++again) {
            std::vector<Submitted> runs;
            for (uint32_t i = 0; i < kRequests; ++i)
                runs.push_back(submit(*scheduler, request(i)));
            for (uint32_t i = 0; i < kRequests; ++i) {
                cachedTokens += runs[i].wait().usage.cachedTokens;
                EXPECT_EQ(runs[i].recorder->tokens(), alone[i]) << "request " << i << ", round " << again;
            }
        }
        preemptions += scheduler->stats().preemptions;
    }
    EXPECT_GT(preemptions, 0u);
    EXPECT_GT(cachedTokens, 0u);
}

INSTANTIATE_TEST_SUITE_P(Families, RealModel,
                         ::testing::Values("deepseek-v3-tiny", "deepseek-v2-tiny", "mixtral-tiny",
                                           "qwen3-moe-tiny", "olmoe-tiny", "llama-tiny", "qwen2-tiny"),
                         [](const auto& info) {
                             std::string name = info.param;
                             std::replace(name.begin(), name.end(), '-', '_');
                             return name;
                         });

}  // namespace
}  // namespace conclave::engine::scheduler
