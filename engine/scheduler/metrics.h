#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace conclave::engine::scheduler {

constexpr size_t kFinishReasons = 4;  ///< values of FinishReason

/// How often values fell between fixed bounds.
struct HistogramCounts {
    std::span<const double> bounds;  ///< upper bounds, ascending
    std::vector<uint64_t> counts;    ///< one for each bound, not cumulative, and one for what is above them
    double sum = 0;
};

/// Durations in seconds. Written by one thread, read by any.
class Histogram {
  public:
    void add(std::chrono::steady_clock::duration duration);
    HistogramCounts read() const;

  private:
    static constexpr size_t kBounds = 16;
    static const std::array<double, kBounds> kSeconds;
    std::array<std::atomic<uint64_t>, kBounds + 1> counts_{};
    std::atomic<double> sum_{0};
};

/// What is counted of the requests to one model, of all owners together. Written by the scheduler's thread.
struct ModelMetrics {
    std::array<std::atomic<uint64_t>, kFinishReasons> finished{};  ///< by FinishReason
    std::atomic<uint64_t> promptTokens{0}, cachedTokens{0}, generatedTokens{0};
    Histogram firstToken;     ///< from submission
    Histogram betweenTokens;  ///< of one answer
};

struct ModelCounts {
    std::string model;
    std::array<uint64_t, kFinishReasons> finished{};  ///< by FinishReason
    uint64_t promptTokens = 0, cachedTokens = 0, generatedTokens = 0;
    HistogramCounts firstToken, betweenTokens;
};

/// Everything that is counted while sequences run. The scheduler's thread writes, at the price of an
/// uncontended atomic each; anybody reads.
class Metrics {
  public:
    /// Of the models of that name; lives as long as this.
    ModelMetrics& of(const std::string& model);
    std::vector<ModelCounts> models() const;
    Histogram step;  ///< of steps that came to their end
    /// Spent on counting which experts were chosen, of the same time.
    std::atomic<uint64_t> countingNanoseconds{0};

  private:
    mutable std::mutex mutex_;
    std::map<std::string, std::unique_ptr<ModelMetrics>> models_;
};

}  // namespace conclave::engine::scheduler
