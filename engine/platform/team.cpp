#include "engine/platform/team.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/base/result.h"
#include "engine/platform/cgroup.h"

namespace conclave::engine::platform {
namespace {

constexpr auto kSpin = std::chrono::microseconds(50);

void pauseProcessor() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    std::this_thread::yield();
#endif
}

void futexWait(std::atomic<uint32_t>& word, uint32_t seen) {
    // A spurious return, a signal or a changed word all lead to another look at the word.
    syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAIT_PRIVATE, seen, nullptr, nullptr, 0);
}

void futexWakeAll(std::atomic<uint32_t>& word) {
    syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAKE_PRIVATE, INT32_MAX, nullptr, nullptr,
            0);
}
static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t) &&
              std::atomic<uint32_t>::is_always_lock_free);

/// A word that threads wait on until it differs from what they saw: spinning first, then asleep.
struct Signal {
    std::atomic<uint32_t> word{0};
    std::atomic<uint32_t> sleepers{0};

    uint32_t waitWhile(uint32_t seen) {
        const auto until = std::chrono::steady_clock::now() + kSpin;
        for (uint32_t turn = 1;; ++turn) {
            if (const uint32_t now = word.load(std::memory_order_acquire); now != seen) return now;
            pauseProcessor();
            if (turn % 32 == 0 && std::chrono::steady_clock::now() >= until) break;
        }
        // Sequentially consistent on both sides: either the waker sees the sleeper, or the sleeper the new
        // word.
        sleepers.fetch_add(1);
        uint32_t now = word.load();
        for (; now == seen; now = word.load())
            futexWait(word, seen);
        sleepers.fetch_sub(1);
        return now;
    }

    void set(uint32_t value) {
        word.store(value);
        wake();
    }

    void wake() {
        if (sleepers.load() > 0) futexWakeAll(word);
    }
};

}  // namespace

struct Team::State {
    size_t size = 1;
    uint64_t waited = 0;                                        // nanoseconds, of the caller
    const std::function<void(size_t, size_t)>* work = nullptr;  // null in a new round: leave
    Signal round;                                               // counts pieces of work
    Signal pending;                                             // workers that are not done with this round
    std::vector<std::thread> threads;

    void loop(size_t worker) {
        for (uint32_t seen = 0;;) {
            seen = round.waitWhile(seen);
            if (work == nullptr) return;
            (*work)(worker, size);
            if (pending.word.fetch_sub(1) == 1) pending.wake();
        }
    }

    void start(const std::function<void(size_t, size_t)>* piece) {
        work = piece;
        pending.word.store(static_cast<uint32_t>(size - 1));
        round.set(round.word.load(std::memory_order_relaxed) + 1);
    }

    void leave() {
        start(nullptr);
        for (auto& thread : threads)
            thread.join();
    }
};

Team::Team(size_t threads) : state_(std::make_unique<State>()) {
    CONCLAVE_CHECK(threads >= 1);
    state_->size = threads;
    // Signals belong to the threads that expect them, never to a worker in the middle of a product; but what
    // a worker does itself, such as reading a file that was cut (mapping_guard.h), is its own.
    sigset_t all, before;
    sigfillset(&all);
    for (const int own : {SIGBUS, SIGSEGV, SIGFPE, SIGILL})
        sigdelset(&all, own);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
        for (size_t worker = 1; worker < threads; ++worker) {
            state_->threads.emplace_back([state = state_.get(), worker] { state->loop(worker); });
            pthread_setname_np(state_->threads.back().native_handle(), "conclave-team");
        }
    } catch (...) {  // the system gives no more threads; those that are there leave
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        state_->leave();
        throw;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Team::~Team() {
    state_->leave();
}

size_t Team::size() const {
    return state_->size;
}

void Team::run(const std::function<void(size_t worker, size_t workers)>& work) {
    if (state_->size == 1) {
        work(0, 1);
        return;
    }
    state_->start(&work);
    work(0, state_->size);
    uint32_t left = state_->pending.word.load(std::memory_order_acquire);
    if (left == 0) return;
    const auto begin = std::chrono::steady_clock::now();
    while (left != 0)
        left = state_->pending.waitWhile(left);
    state_->waited +=
        static_cast<uint64_t>(std::chrono::nanoseconds(std::chrono::steady_clock::now() - begin).count());
}

uint64_t Team::waited() const {
    return state_->waited;
}

Range share(size_t count, size_t worker, size_t workers, size_t grain) {
    const size_t runs = (count + grain - 1) / grain;
    const size_t each = runs / workers, more = runs % workers;
    const size_t first = worker * each + std::min(worker, more);
    const size_t last = first + each + (worker < more ? 1 : 0);
    return {std::min(first * grain, count), std::min(last * grain, count)};
}

namespace {

/// The processors of this thread's affinity mask.
std::vector<size_t> allowedProcessors() {
    for (size_t most = 1024; most <= (size_t{1} << 20); most *= 4) {
        cpu_set_t* set = CPU_ALLOC(most);
        const size_t bytes = CPU_ALLOC_SIZE(most);
        const int failed = sched_getaffinity(0, bytes, set);
        std::vector<size_t> found;
        for (size_t cpu = 0; failed == 0 && cpu < most; ++cpu)
            if (CPU_ISSET_S(cpu, bytes, set)) found.push_back(cpu);
        CPU_FREE(set);
        if (!found.empty()) return found;
        if (errno != EINVAL)  // EINVAL: the machine has more processors than the mask
            break;
    }
    std::vector<size_t> all(std::max(1u, std::thread::hardware_concurrency()));
    for (size_t i = 0; i < all.size(); ++i)
        all[i] = i;
    return all;
}

/// How many cores these processors lie on; one each where the topology cannot be read.
size_t coresOf(const std::vector<size_t>& processors) {
    std::set<std::string> cores;
    for (const size_t cpu : processors) {
        std::ifstream in("/sys/devices/system/cpu/cpu" + std::to_string(cpu) +
                         "/topology/thread_siblings_list");
        std::string siblings;
        if (!std::getline(in, siblings)) siblings = "alone " + std::to_string(cpu);
        cores.insert(siblings);
    }
    return cores.size();
}

}  // namespace

size_t defaultThreads() {
    size_t threads = coresOf(allowedProcessors());
    if (const auto quota = cgroupLimits().processors)
        threads = std::min(threads, static_cast<size_t>(std::max(1.0, std::floor(*quota))));
    return std::max<size_t>(1, threads);
}

size_t availableThreads() {
    return allowedProcessors().size();
}

}  // namespace conclave::engine::platform
