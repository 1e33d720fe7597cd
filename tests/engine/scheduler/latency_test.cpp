// How long somebody who types waits while a long prompt is computed in the background, with real kernels.
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "engine/scheduler/scheduler.h"
#include "tests/engine/scheduler/drawn.h"
#include "tests/engine/scheduler/recorder.h"

namespace conclave::engine::scheduler {
namespace {

using namespace std::chrono_literals;
using std::chrono::microseconds;
using testing::median;
using testing::Submitted;
using Clock = std::chrono::steady_clock;

constexpr uint32_t kChunk = 256;  // rows of a prefill's step

struct Latency : ::testing::Test, testing::Drawn {
    Latency() : Drawn{testing::randomFor("latency"), nullptr} {}

    GenerationRequest request(base::Priority priority, uint32_t tokens) {
        GenerationRequest out = testing::requestFor(model, "");
        out.priority = priority;
        out.prompt = prompt(tokens);
        out.maxTokens = 1;
        return out;
    }

    microseconds firstTokenTime(Scheduler& scheduler) {
        const auto then = Clock::now();
        testing::submit(scheduler, request(base::Priority::Interactive, 24)).wait();
        return std::chrono::duration_cast<microseconds>(Clock::now() - then);
    }

    /// Of a full step of the prefill, on the scheduler's number of threads, at the end of its 2,048 tokens.
    microseconds layerTime(size_t threads) {
        const model::Model& m = *model->model;
        constexpr uint32_t kStart = 2048 - kChunk;
        const testing::Pages pages(m, 2048);
        const auto tokens = prompt(kChunk);
        platform::Team team(threads);
        std::vector<microseconds> times;
        for (int i = 0; i < 4; ++i) {
            model::Step step;
            step.slices.push_back({tokens, kStart, pages.data, model::Slice::Logits::None});
            const auto then = Clock::now();
            EXPECT_EQ(m.forward(step, team), model::StepOutcome::Done);
            times.push_back(std::chrono::duration_cast<microseconds>(Clock::now() - then) / m.config.layers);
        }
        return median(std::move(times));
    }
};

TEST_F(Latency, AnInteractiveFirstTokenWaitsForOneLayerOfABackgroundPrefill) {
    model::LoadOptions options;
    options.activations = model::ActivationChoice::Int8;
    const char* path = std::getenv("CONCLAVE_LONG_MODEL");
    load(path != nullptr ? path : "synth:qwen2.5-coder-1.5b:q4_k_m:6", "", options);
    const size_t threads = platform::defaultThreads();
    const microseconds layer = layerTime(threads);
    auto scheduler =
        testing::startScheduler({.threads = threads, .kvBytes = uint64_t{1} << 30, .prefixCache = false});
    std::vector<microseconds> alone, during;
    for (int i = 0; i < 7; ++i) {
        alone.push_back(firstTokenTime(*scheduler));
        const Submitted background = testing::submit(*scheduler, request(base::Priority::Background, 2048));
        std::this_thread::sleep_for(60ms + i * 31ms);
        during.push_back(firstTokenTime(*scheduler));
        EXPECT_EQ(background.recorder->texts(), 0u) << "its prompt is still being computed";
        scheduler->cancel(background.id);
        background.wait();
    }
    std::printf("first token alone %lld us, during a Background prefill %lld us, one layer %lld us\n",
                static_cast<long long>(median(alone).count()), static_cast<long long>(median(during).count()),
                static_cast<long long>(layer.count()));
    EXPECT_LE(median(during), median(alone) + layer + 10ms);
}

}  // namespace
}  // namespace conclave::engine::scheduler
