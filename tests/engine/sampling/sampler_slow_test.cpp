// What a token costs in a vocabulary as large as they come; docs/numbers.md has the figures.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <random>
#include <vector>

#include "engine/sampling/sampler.h"

namespace conclave::engine::sampling {
namespace {

constexpr size_t kVocabulary = 151'936;

/// As a trained model gives them: most near the middle, a few far above.
std::vector<float> logitsLikeAModels() {
    std::mt19937 random(7);
    std::normal_distribution<float> normal(0, 2.5f);
    std::vector<float> logits(kVocabulary);
    for (float& x : logits)
        x = normal(random);
    for (size_t i = 0; i < 40; ++i)
        logits[random() % kVocabulary] = 20 - 0.3f * static_cast<float>(i);
    return logits;
}

std::vector<float> flatLogits() {
    std::mt19937 random(8);
    std::normal_distribution<float> normal;
    std::vector<float> logits(kVocabulary);
    for (float& x : logits)
        x = normal(random);
    return logits;
}

/// Microseconds of one call, the best of many.
template <class Work> double microseconds(const Work& work) {
    double best = 1e9;
    for (int round = 0; round < 40; ++round) {
        const auto start = std::chrono::steady_clock::now();
        work(static_cast<uint64_t>(round));
        best = std::min(
            best,
            std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count());
    }
    return best;
}

TEST(SamplerSpeed, NothingSortsTheVocabulary) {
    const std::vector<float> logits = logitsLikeAModels(), flat = flatLogits();
    const double sorting = microseconds([&](uint64_t) {
        std::vector<float> sorted = logits;
        std::sort(sorted.begin(), sorted.end());
        ASSERT_LE(sorted.front(), sorted.back());
    });
    std::printf("%-44s %9.1f us  %6.2f ns/entry\n", "a full sort, to compare", sorting,
                sorting * 1000 / kVocabulary);
    const auto measureOn = [&](const std::vector<float>& row, const char* name,
                               const SamplerOptions& options) {
        const double time =
            microseconds([&](uint64_t position) { ASSERT_TRUE(sample(row, options, 1, 0, position).ok()); });
        std::printf("%-44s %9.1f us  %6.2f ns/entry\n", name, time, time * 1000 / kVocabulary);
        EXPECT_LT(time, sorting / 2) << name;
    };
    const auto measure = [&](const char* name, const SamplerOptions& options) {
        measureOn(logits, name, options);
    };
    measure("greedy", {.temperature = 0});
    measure("temperature 0.8", {.temperature = 0.8f});
    measure("temperature 0.8, top_k 40", {.temperature = 0.8f, .topK = 40});
    measure("temperature 0.8, top_p 0.95", {.temperature = 0.8f, .topP = 0.95f});
    measure("temperature 0.8, min_p 0.05", {.temperature = 0.8f, .minP = 0.05f});
    measure("temperature 0.7, top_k 20, top_p 0.8", {.temperature = 0.7f, .topK = 20, .topP = 0.8f});
    measure("top_k 40, top_p 0.95, min_p 0.05",
            {.temperature = 0.8f, .topK = 40, .topP = 0.95f, .minP = 0.05f});
    measureOn(flat, "flat: temperature 1.5, top_p 0.95", {.temperature = 1.5f, .topP = 0.95f});
    measureOn(flat, "flat: temperature 1.5, typical_p 0.95", {.temperature = 1.5f, .typicalP = 0.95f});
}

}  // namespace
}  // namespace conclave::engine::sampling
