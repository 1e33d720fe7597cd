#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

namespace conclave::engine::platform {

/// A fixed team of threads that share one piece of work at a time. The caller is worker 0; the others spin
/// for at most 50 µs after a piece of work, then sleep on a futex, so that an idle engine uses no CPU. run()
/// may be called from one thread at a time and returns when every worker is done. Which worker does what may
/// depend on timing where the caller says so; what comes out must not.
class Team {
  public:
    /// threads: workers in all, the caller included; at least 1. Throws std::system_error where the system
    /// gives no more threads.
    explicit Team(size_t threads);
    ~Team();
    Team(const Team&) = delete;
    Team& operator=(const Team&) = delete;

    size_t size() const;

    /// Calls work(worker, size()) on every worker and waits for all.
    void run(const std::function<void(size_t worker, size_t workers)>& work);

    /// Nanoseconds that the caller of run() has waited for the other workers so far.
    uint64_t waited() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

/// Half-open range of `count` items that belongs to `worker` when they are dealt in runs, a multiple of
/// `grain` each.
struct Range {
    size_t begin = 0, end = 0;
};
Range share(size_t count, size_t worker, size_t workers, size_t grain = 1);

/// Physical cores ∩ affinity ∩ cgroup quota, at least 1: the default size of the team.
size_t defaultThreads();

/// Logical processors this process may run on: the most that --threads accepts.
size_t availableThreads();

}  // namespace conclave::engine::platform
