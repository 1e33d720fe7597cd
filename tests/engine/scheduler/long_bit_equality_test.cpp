// As bit_equality_test, beyond 1,600 positions, where attention has several spans and a prompt many chunks:
// two layers of real shapes, and the model at CONCLAVE_LONG_MODEL where that is set. CONCLAVE_SEED repeats a
// run.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "engine/kernels/kernels.h"
#include "engine/library/library.h"
#include "engine/platform/team.h"
#include "engine/scheduler/scheduler.h"
#include "tests/engine/scheduler/drawn.h"
#include "tests/engine/scheduler/recorder.h"

namespace conclave::engine::scheduler {
namespace {

using testing::Pages;
using testing::startScheduler;
using testing::submit;
using testing::Submitted;
using Tokens = std::vector<base::TokenId>;

constexpr uint32_t kPositions = 1800;

struct Case {
    std::string model;
    std::string kernels;
};

void PrintTo(const Case& c, std::ostream* out) {
    *out << c.model << " on " << c.kernels;
}

/// Every fast row that runs here; the reference row would take minutes, and the kernels' tests compare it.
std::vector<Case> cases() {
    std::vector<std::string> models{"synth:olmoe-1b-7b:q4_k_m:2", "synth:deepseek-v2-lite:q4_k_m:2"};
    if (const char* path = std::getenv("CONCLAVE_LONG_MODEL")) models.emplace_back(path);
    std::vector<Case> out;
    for (const std::string& model : models)
        for (const kernels::Kernels* row : kernels::allKernels())
            if (row->supported() && row->name != "reference") out.push_back({model, std::string(row->name)});
    return out;
}

struct LongBitEquality : ::testing::TestWithParam<Case>, testing::Drawn {
    LongBitEquality() : Drawn{testing::randomFor(GetParam().model + GetParam().kernels), nullptr} {}

    void SetUp() override {
        model::LoadOptions options;
        // As the whole of a synth rounds; two layers would count as a small model.
        const bool synth = GetParam().model.starts_with("synth:");
        options.activations = synth ? model::ActivationChoice::Int8 : model::ActivationChoice::Preferred;
        load(GetParam().model, GetParam().kernels, options);
    }

    /// Logits after the positions of `marks`, ascending, where each step has at most chunk() rows.
    template <class Chunk>
    std::vector<std::vector<float>> logits(const Tokens& text, const std::vector<uint32_t>& marks,
                                           size_t threads, const Chunk& chunk) {
        const Pages pages(*model->model, text.size());
        platform::Team team(threads);
        std::vector<std::vector<float>> out;
        uint32_t at = 0;
        for (const uint32_t mark : marks)
            while (at < mark) {
                const uint32_t count = std::min<uint32_t>(chunk(), mark - at);
                model::Step step;
                step.slices.push_back(
                    {std::span(text).subspan(at, count), at, pages.data,
                     at + count == mark ? model::Slice::Logits::Last : model::Slice::Logits::None});
                EXPECT_EQ(model->model->forward(step, team), model::StepOutcome::Done);
                at += count;
                if (at == mark) out.push_back(std::move(step.logits));
            }
        return out;
    }
};

TEST_P(LongBitEquality, LogitsInAnyChunks) {
    const Tokens text = prompt(kPositions);
    std::vector<uint32_t> marks{510 + below(5), 1020 + below(10), 1536 + below(100), kPositions - 30};
    for (uint32_t last = kPositions - 5; last <= kPositions; ++last)
        marks.push_back(last);
    const auto expected = logits(text, marks, 1, [] { return 512u; });
    for (int round = 0; round < 2; ++round) {
        const uint32_t most = round == 0 ? 1 + below(64) : 1 + below(512);
        const auto got = logits(text, marks, std::min<size_t>(2, platform::availableThreads()),
                                [&] { return 1 + below(most); });
        ASSERT_EQ(got.size(), expected.size());
        for (size_t i = 0; i < got.size(); ++i)
            EXPECT_EQ(std::memcmp(got[i].data(), expected[i].data(), got[i].size() * sizeof(float)), 0)
                << "after " << marks[i] << " positions, steps of at most " << most << " rows";
    }
}

TEST_P(LongBitEquality, TokensOfRequests) {
    const Tokens shared = prompt(kPositions - 150);
    const uint64_t page = model->model->kv.pageBytes, enough = 200 * page;
    std::vector<GenerationRequest> requests(2);
    std::vector<Tokens> alone;
    for (GenerationRequest& request : requests) {
        request.model = model;
        request.priority = static_cast<base::Priority>(below(3));
        request.sampling.temperature = coin() ? 1.1f : 0.0f;
        request.sampling.seed = below(1000);
        request.maxTokens = 12;
        request.prompt = shared;
        const Tokens own = prompt(20 + below(120));
        request.prompt.insert(request.prompt.end(), own.begin(), own.end());
        auto scheduler = startScheduler({.kvBytes = enough, .prefixCache = false});
        const Submitted run = submit(*scheduler, request);
        EXPECT_EQ(run.wait().reason, FinishReason::Length);
        alone.push_back(run.recorder->tokens());
    }
    SchedulerOptions chosen;
    chosen.threads = 1 + below(static_cast<uint32_t>(std::min<size_t>(2, platform::availableThreads())));
    chosen.chunk = 30 + below(480);
    chosen.prefixCache = coin();
    const bool scarce = coin();
    // Pages for one and a half of them: the others wait, or give theirs back and compute again.
    chosen.kvBytes = scarce ? 45 * page : enough;
    auto scheduler = startScheduler(chosen);
    const size_t order[] = {0, 1, 0};
    std::vector<Submitted> runs;
    for (const size_t i : order) {
        runs.push_back(submit(*scheduler, requests[i]));
        if (coin()) runs.back().recorder->waitForText(1);
    }
    for (size_t n = 0; n < runs.size(); ++n) {
        EXPECT_NE(runs[n].wait().reason, FinishReason::Failed);
        EXPECT_EQ(runs[n].recorder->tokens(), alone[order[n]])
            << "request " << order[n] << ", threads " << chosen.threads << ", chunk " << chosen.chunk
            << ", cache " << chosen.prefixCache << ", pages scarce " << scarce;
    }
}

INSTANTIATE_TEST_SUITE_P(All, LongBitEquality, ::testing::ValuesIn(cases()), [](const auto& info) {
    const std::string& path = info.param.model;
    return testing::caseName(path.substr(path.find_last_of('/') + 1) + "_" + info.param.kernels);
});

}  // namespace
}  // namespace conclave::engine::scheduler
