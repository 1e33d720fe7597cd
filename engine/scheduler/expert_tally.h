#pragma once

#include <chrono>
#include <memory>
#include <optional>

#include "engine/scheduler/expert_log.h"
#include "engine/scheduler/scheduler.h"

namespace conclave::engine::scheduler {

/// Counts the experts of one sequence's steps until there is a record's worth of them. Allocates when it is
/// made and when a record is taken, never in a step. For the scheduler's thread only.
class ExpertTally {
  public:
    using Time = std::chrono::steady_clock::time_point;

    /// The request must outlive it.
    explicit ExpertTally(const GenerationRequest& request);

    /// Where the next step counts; null for a dense model.
    model::ExpertCounts* ofStep() { return step_.empty() ? nullptr : &step_; }
    /// The step, of so many tokens, came to its end.
    void keep(uint32_t tokens, Time began, Time ended);
    /// The step was stopped: its tokens will be computed again.
    void drop() { step_.clear(); }

    /// When the first kept step began that is in no record yet; none: nothing is kept.
    std::optional<Time> heldSince() const;
    /// What was kept since the last call, as a record; null where that is nothing.
    std::shared_ptr<const ExpertRecord> take();

  private:
    ExpertRecord emptyRecord() const;

    const GenerationRequest& request_;
    model::ExpertCounts step_;
    std::shared_ptr<ExpertRecord> held_;
};

}  // namespace conclave::engine::scheduler
