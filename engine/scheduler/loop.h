#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "engine/platform/team.h"
#include "engine/scheduler/batch.h"
#include "engine/scheduler/inbox.h"
#include "engine/scheduler/page_pool.h"
#include "engine/scheduler/prefix_cache.h"
#include "engine/scheduler/sequence.h"

namespace conclave::engine::scheduler {

/// The loop that owns every sequence: takes events, admits what waits, runs one step of one model, tells what
/// came of it. Everything in it happens on the thread that calls run().
class Loop {
  public:
    /// What it writes down while it runs.
    struct Books {
        Metrics& metrics;
        ExpertLog& experts;
    };
    Loop(const SchedulerOptions& options, size_t threads, Inbox& inbox, Books books);

    /// Until Shutdown, which cancels what is left.
    void run();

  private:
    void take(Submit submit);
    void take(const Cancel& cancel);
    bool waitsForAPrompt(const Sequence& sequence) const;
    void admit();
    std::vector<PrefixCache::Found> storedPrefix(const Sequence& sequence);
    bool caches(const Sequence& sequence) const { return options_.prefixCache && sequence.sharesPages(); }
    PrefixCache::Place placeOfPage(const Sequence& sequence, size_t page, PrefixCache::Node before);
    bool makeRoomFor(const Sequence& sequence);
    uint64_t promisedBytes() const;
    void step();
    std::vector<BatchPart> prepare(const std::vector<Sequence*>& sequences);
    bool reserve(Sequence& sequence, uint32_t pages);
    void execute(const std::vector<BatchPart>& parts);
    void countExperts(const std::vector<BatchPart>& parts, std::chrono::steady_clock::time_point began);
    void logExperts(Sequence& sequence);
    void count(Sequence& sequence, std::chrono::steady_clock::time_point now);
    void chooseTokens(const std::vector<Sequence*>& sequences, const model::Step& step);
    void resume(Sequence& sequence);
    void dropPages(Sequence& sequence);
    void preempt(Sequence& sequence);
    void cachePages(Sequence& sequence);
    void finish(Sequence& sequence, FinishReason reason, std::optional<base::Error> error = std::nullopt);
    void publish();
    std::vector<Sequence*> running() const;
    /// The last in order of those that run and come after `than`; null where there is none.
    Sequence* lastAfter(const Sequence& than) const;

    const SchedulerOptions options_;
    Inbox& inbox_;
    Metrics& metrics_;
    ExpertLog& experts_;
    platform::Team team_;
    PagePool pool_;
    PrefixCache cache_;
    std::vector<std::unique_ptr<Sequence>> sequences_;  ///< in the order of goesBefore
    SchedulerStats stats_;
};

}  // namespace conclave::engine::scheduler
