// The same request gives the same bits alone, among others, in any chunks, from warm pages, after pre-emption
// and interruption, with one thread and with two: every tiny model on every row of kernels that this machine
// has, in circumstances drawn at random. CONCLAVE_SEED repeats a run.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>

#include "engine/kernels/kernels.h"
#include "engine/library/library.h"
#include "engine/platform/team.h"
#include "engine/scheduler/scheduler.h"
#include "tests/engine/scheduler/drawn.h"
#include "tests/engine/scheduler/recorder.h"

namespace conclave::engine::scheduler {
namespace {

using testing::startScheduler;
using testing::submit;
using testing::Submitted;
using Tokens = std::vector<base::TokenId>;
using testing::Pages;

struct Case {
    std::string path;  ///< below tests/fixtures/models
    std::string kernels;
};

void PrintTo(const Case& c, std::ostream* out) {
    *out << c.path << " on " << c.kernels;
}

const std::string kModels = CONCLAVE_SOURCE_DIR "/tests/fixtures/models/";

/// Every folder with a configuration and every GGUF file, for every row that runs here.
std::vector<Case> cases() {
    namespace fs = std::filesystem;
    std::vector<Case> out;
    for (const auto& entry : fs::recursive_directory_iterator(kModels)) {
        const bool isFolder = entry.is_directory() && fs::exists(entry.path() / "model.safetensors");
        if (!isFolder && entry.path().extension() != ".gguf") continue;
        for (const kernels::Kernels* row : kernels::allKernels())
            if (row->supported())
                out.push_back({fs::relative(entry.path(), kModels).string(), std::string(row->name)});
    }
    std::ranges::sort(out, {}, [](const Case& c) { return c.path + c.kernels; });
    return out;
}

struct BitEquality : ::testing::TestWithParam<Case>, testing::Drawn {
    BitEquality() : Drawn{testing::randomFor(GetParam().path + GetParam().kernels), nullptr} {}

    void SetUp() override {
        model::LoadOptions options;
        options.maxRows = 96;
        using enum model::ActivationChoice;
        options.activations = std::array{Exact, Preferred, Int8}[below(3)];
        load(kModels + GetParam().path, GetParam().kernels, options);
    }

    GenerationRequest request(const Tokens& begin) {
        GenerationRequest out;
        out.model = model;
        out.priority = static_cast<base::Priority>(below(3));
        out.sampling.temperature = coin() ? 1.1f : 0.0f;
        out.sampling.seed = below(1000);
        out.router = router();
        out.maxTokens = 129 + below(10);  // two pages more: further than admission looks ahead
        out.prompt = begin;               // shared, so that one may find what another computed
        out.prompt.resize(coin() ? begin.size() : below(static_cast<uint32_t>(begin.size())));
        const Tokens own = prompt(1 + below(60));
        out.prompt.insert(out.prompt.end(), own.begin(), own.end());
        return out;
    }

    SchedulerOptions options(bool scarce) {
        const uint64_t page = model->model->kv.pageBytes;
        SchedulerOptions out;
        out.threads = 1 + below(static_cast<uint32_t>(std::min<size_t>(2, platform::availableThreads())));
        out.chunk = 1 + below(90);
        out.kvBytes = scarce ? 5 * page : 200 * page;
        out.prefixCache = coin();
        out.maxSequences = scarce ? 64 : 1 + below(8);
        return out;
    }
};

TEST_P(BitEquality, TokensOfRequests) {
    constexpr size_t kRequests = 3;
    const Tokens shared = prompt(100);
    std::vector<GenerationRequest> requests;
    std::vector<Tokens> alone;
    for (size_t i = 0; i < kRequests; ++i) {
        requests.push_back(request(shared));
        auto scheduler = startScheduler({.prefixCache = false});
        const Submitted run = submit(*scheduler, requests[i]);
        EXPECT_EQ(run.wait().reason, FinishReason::Length);
        alone.push_back(run.recorder->tokens());
    }
    // Another circumstance in each run, so that a run is short.
    const bool scarce = coin();
    const SchedulerOptions chosen = options(scarce);
    auto scheduler = startScheduler(chosen);
    std::vector<size_t> order{0, 1, 2, 0};  // one of them twice, at the same time
    std::ranges::shuffle(order, random);
    std::vector<Submitted> runs;
    for (const size_t i : order) {
        runs.push_back(submit(*scheduler, requests[i]));
        if (below(3) == 0) runs.back().recorder->waitForText(1);  // the others come in mid-answer
    }
    const Submitted gone = submit(*scheduler, requests[below(kRequests)]);
    scheduler->cancel(gone.id);
    for (size_t n = 0; n < order.size(); ++n) {
        EXPECT_NE(runs[n].wait().reason, FinishReason::Failed);
        EXPECT_EQ(runs[n].recorder->tokens(), alone[order[n]])
            << "request " << order[n] << ", threads " << chosen.threads << ", chunk " << chosen.chunk
            << ", cache " << chosen.prefixCache << ", pages scarce " << scarce;
    }
    gone.wait();
    std::printf("pre-empted %llu times, interrupted %llu times\n",
                static_cast<unsigned long long>(scheduler->stats().preemptions),
                static_cast<unsigned long long>(scheduler->stats().stoppedSteps));
}

TEST_P(BitEquality, LogitsOfEveryPosition) {
    constexpr size_t kSequences = 3;
    const size_t vocabulary = model->model->config.vocabulary;
    std::vector<Tokens> texts;
    std::vector<std::vector<float>> expected;
    for (size_t i = 0; i < kSequences; ++i) {
        texts.push_back(prompt(40 + below(56)));
        const Pages pages(*model->model, texts[i].size());
        platform::Team one(1);
        model::Step step;
        step.slices.push_back({texts[i], 0, pages.data, model::Slice::Logits::All});
        ASSERT_EQ(model->model->forward(step, one), model::StepOutcome::Done);
        expected.push_back(std::move(step.logits));
    }
    platform::Team team(std::min<size_t>(2, platform::availableThreads()));
    for (int round = 0; round < 2; ++round) {
        std::vector<Pages> pages;
        std::vector<uint32_t> done(kSequences, 0);
        for (const Tokens& text : texts)
            pages.emplace_back(*model->model, text.size());
        const auto left = [&](size_t i) { return static_cast<uint32_t>(texts[i].size()) - done[i]; };
        while (left(0) + left(1) + left(2) > 0) {
            model::Step step;
            std::vector<size_t> who{0, 1, 2};
            std::ranges::shuffle(who, random);
            std::erase_if(who, [&](size_t i) { return left(i) == 0 || below(3) == 0; });
            std::vector<uint32_t> rows;
            for (const size_t i : who) {
                rows.push_back(1 + below(std::min(left(i), 32u)));
                step.slices.push_back({std::span(texts[i]).subspan(done[i], rows.back()), done[i],
                                       pages[i].data, model::Slice::Logits::All});
            }
            ASSERT_EQ(model->model->forward(step, team), model::StepOutcome::Done);
            const float* at = step.logits.data();
            for (size_t n = 0; n < who.size(); ++n) {
                const size_t count = rows[n] * vocabulary;
                EXPECT_EQ(std::memcmp(at, expected[who[n]].data() + done[who[n]] * vocabulary,
                                      count * sizeof(float)),
                          0)
                    << "sequence " << who[n] << " from " << done[who[n]] << ", " << rows[n] << " rows";
                done[who[n]] += rows[n];
                at += count;
            }
        }
    }
}

INSTANTIATE_TEST_SUITE_P(All, BitEquality, ::testing::ValuesIn(cases()), [](const auto& info) {
    return testing::caseName(info.param.path + "_" + info.param.kernels);
});

}  // namespace
}  // namespace conclave::engine::scheduler
