#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <variant>
#include <vector>

#include "engine/base/ids.h"
#include "engine/scheduler/scheduler.h"

namespace conclave::engine::scheduler {

// The closed set of what the loop can be told.
struct Submit {
    base::SequenceId id{};
    uint64_t seed = 0;
    uint32_t limit = 0;                        ///< most tokens that may be generated
    std::chrono::steady_clock::time_point at;  ///< when it was submitted
    uint64_t kvBytes = 0;                      ///< the budget that its context was promised with
    GenerationRequest request;
};
struct Cancel {
    base::SequenceId id{};
};
struct Shutdown {};
using Event = std::variant<Submit, Cancel, Shutdown>;

/// What the loop says of a step before it runs.
struct StepRun {
    std::vector<base::SequenceId> sequences;
    base::Priority best = base::Priority::Interactive;  ///< of its sequences
    bool yields = false;  ///< it may be stopped for a request of higher priority than all of its own
};

/// All that other threads share with the loop: events go in, what the loop publishes about itself comes out,
/// and a step is told to stop
/// that works only for cancelled sequences, or while a request of higher priority waits. Thread-safe.
class Inbox {
  public:
    void send(Event event);

    // For the loop.

    /// What has been sent, in order. With `wait` it sleeps until there is something.
    std::vector<Event> take(bool wait);
    /// From now on this step runs; it is stopped as soon as all of its sequences are cancelled, where it
    /// yields as soon as a request of higher priority arrives, and at shutdown.
    void beginStep(StepRun step);
    void endStep();
    const std::atomic<bool>& stop() const { return stop_; }
    void publish(std::vector<SequenceInfo> infos, const SchedulerStats& stats);

    // For everyone.

    std::vector<SequenceInfo> sequences(base::OwnerId owner) const;
    std::array<SequenceCounts, kPriorities> counts() const;
    SchedulerStats stats() const;

  private:
    void noteForStep(const Event& event);

    mutable std::mutex mutex_;
    std::condition_variable arrived_;
    std::vector<Event> events_;
    StepRun inStep_;  ///< the running step, without sequences that were cancelled
    bool stepRuns_ = false;
    std::atomic<bool> stop_{false};
    std::vector<SequenceInfo> infos_;
    SchedulerStats stats_;
};

SequenceInfo infoOf(const Submit& submit);

}  // namespace conclave::engine::scheduler
