#include "engine/scheduler/inbox.h"

#include <utility>

namespace conclave::engine::scheduler {

SequenceInfo infoOf(const Submit& submit) {
    SequenceInfo info;
    info.id = submit.id;
    info.owner = submit.request.owner;
    info.priority = submit.request.priority;
    info.model = submit.request.model->name;
    info.promptTokens = static_cast<uint32_t>(submit.request.prompt.size());
    return info;
}

/// With the mutex held: stops the running step where `event` ends the last sequence it works for, or is a
/// request that the step gives way to.
void Inbox::noteForStep(const Event& event) {
    if (!stepRuns_) return;
    if (const auto* cancel = std::get_if<Cancel>(&event)) std::erase(inStep_.sequences, cancel->id);
    const auto* submit = std::get_if<Submit>(&event);
    const bool givesWay = submit != nullptr && inStep_.yields && submit->request.priority < inStep_.best;
    if (givesWay || inStep_.sequences.empty() || std::holds_alternative<Shutdown>(event)) stop_ = true;
}

void Inbox::send(Event event) {
    {
        const std::lock_guard lock(mutex_);
        noteForStep(event);
        events_.push_back(std::move(event));
    }
    arrived_.notify_one();
}

std::vector<Event> Inbox::take(bool wait) {
    std::unique_lock lock(mutex_);
    if (wait) arrived_.wait(lock, [&] { return !events_.empty(); });
    for (const Event& event : events_)  // not yet in what the loop publishes
        if (const auto* submit = std::get_if<Submit>(&event)) infos_.push_back(infoOf(*submit));
    return std::exchange(events_, {});
}

void Inbox::beginStep(StepRun step) {
    const std::lock_guard lock(mutex_);
    inStep_ = std::move(step);
    stepRuns_ = true;
    stop_ = false;
    for (const Event& event : events_)  // those that came after the loop last looked
        noteForStep(event);
}

void Inbox::endStep() {
    const std::lock_guard lock(mutex_);
    stepRuns_ = false;
}

void Inbox::publish(std::vector<SequenceInfo> infos, const SchedulerStats& stats) {
    const std::lock_guard lock(mutex_);
    infos_ = std::move(infos);
    stats_ = stats;
}

std::vector<SequenceInfo> Inbox::sequences(base::OwnerId owner) const {
    const std::lock_guard lock(mutex_);
    std::vector<SequenceInfo> out;
    for (const SequenceInfo& info : infos_)
        if (info.owner == owner) out.push_back(info);
    for (const Event& event : events_)  // submitted, but not yet seen by the loop
        if (const auto* submit = std::get_if<Submit>(&event);
            submit != nullptr && submit->request.owner == owner)
            out.push_back(infoOf(*submit));
    return out;
}

std::array<SequenceCounts, kPriorities> Inbox::counts() const {
    const std::lock_guard lock(mutex_);
    std::array<SequenceCounts, kPriorities> out{};
    for (const SequenceInfo& info : infos_) {
        SequenceCounts& counts = out[static_cast<size_t>(info.priority)];
        ++(info.state == SequenceInfo::State::Waiting ? counts.waiting : counts.running);
    }
    for (const Event& event : events_)
        if (const auto* submit = std::get_if<Submit>(&event))
            ++out[static_cast<size_t>(submit->request.priority)].waiting;
    return out;
}

SchedulerStats Inbox::stats() const {
    const std::lock_guard lock(mutex_);
    return stats_;
}

}  // namespace conclave::engine::scheduler
