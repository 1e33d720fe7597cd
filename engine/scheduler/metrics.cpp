#include "engine/scheduler/metrics.h"

#include <algorithm>

namespace conclave::engine::scheduler {
namespace {

/// One writer: no read-modify-write is needed.
void raise(std::atomic<uint64_t>& count, uint64_t by = 1) {
    count.store(count.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
}

}  // namespace

const std::array<double, Histogram::kBounds> Histogram::kSeconds = {
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300};

void Histogram::add(std::chrono::steady_clock::duration duration) {
    const double seconds = std::chrono::duration<double>(duration).count();
    const auto bucket = std::ranges::lower_bound(kSeconds, seconds) - kSeconds.begin();
    raise(counts_[static_cast<size_t>(bucket)]);
    sum_.store(sum_.load(std::memory_order_relaxed) + seconds, std::memory_order_relaxed);
}

HistogramCounts Histogram::read() const {
    HistogramCounts out{.bounds = kSeconds, .counts = {}, .sum = sum_.load(std::memory_order_relaxed)};
    for (const auto& count : counts_)
        out.counts.push_back(count.load(std::memory_order_relaxed));
    return out;
}

ModelMetrics& Metrics::of(const std::string& model) {
    const std::lock_guard lock(mutex_);
    auto& place = models_[model];
    if (place == nullptr) place = std::make_unique<ModelMetrics>();
    return *place;
}

std::vector<ModelCounts> Metrics::models() const {
    const std::lock_guard lock(mutex_);
    std::vector<ModelCounts> out;
    for (const auto& [name, metrics] : models_) {
        ModelCounts counts{.model = name,
                           .finished = {},
                           .promptTokens = metrics->promptTokens,
                           .cachedTokens = metrics->cachedTokens,
                           .generatedTokens = metrics->generatedTokens,
                           .firstToken = metrics->firstToken.read(),
                           .betweenTokens = metrics->betweenTokens.read()};
        for (size_t i = 0; i < kFinishReasons; ++i)
            counts.finished[i] = metrics->finished[i];
        out.push_back(std::move(counts));
    }
    return out;
}

}  // namespace conclave::engine::scheduler
