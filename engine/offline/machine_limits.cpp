#include "engine/offline/machine_limits.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "engine/kernels/limits.h"

namespace conclave::engine::offline {
namespace {

constexpr size_t kReadBytes = size_t{256} << 20;
constexpr double kSeconds = 0.02;  // of a loop

double secondsOf(platform::Team& team, const std::function<void(size_t worker, size_t workers)>& work) {
    const auto begin = std::chrono::steady_clock::now();
    team.run(work);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

base::Result<MachineLimits> MachineLimits::make(platform::Team& team) {
    CONCLAVE_TRY(platform::Memory memory,
                 platform::Memory::allocate(kReadBytes, "the read that is measured"));
    return MachineLimits(team, std::move(memory));
}

MachineLimits::MachineLimits(platform::Team& team, platform::Memory memory)
    : team_(team), memory_(std::move(memory)) {
    std::memset(memory_.data(), 1, memory_.size());
}

double MachineLimits::rate(double operations, void (*run)(uint64_t rounds)) {
    uint64_t rounds = 10'000;
    double seconds = 0;
    for (int turn = 0; turn < 2; ++turn) {  // the first says how many rounds are long enough
        seconds = secondsOf(team_, [&](size_t, size_t) { run(rounds); });
        if (turn == 0)
            rounds = static_cast<uint64_t>(static_cast<double>(rounds) * std::max(1.0, kSeconds / seconds));
    }
    return operations * static_cast<double>(rounds * team_.size()) / seconds;
}

double MachineLimits::int8() {
    return rate(kernels::peaks().int8.operations, kernels::peaks().int8.run);
}
double MachineLimits::bf16() {
    return rate(kernels::peaks().bf16.operations, kernels::peaks().bf16.run);
}
double MachineLimits::f32() {
    return rate(kernels::peaks().f32.operations, kernels::peaks().f32.run);
}

double MachineLimits::read() {
    const double seconds = secondsOf(team_, [&](size_t worker, size_t workers) {
        const platform::Range range = platform::share(memory_.size(), worker, workers, size_t{1} << 20);
        kernels::peaks().read(memory_.bytes().subspan(range.begin, range.end - range.begin));
    });
    return static_cast<double>(memory_.size()) / seconds;
}

base::Result<double> MachineLimits::newMemory(size_t bytes) {
    CONCLAVE_TRY(platform::Memory memory, platform::Memory::allocate(bytes, "the memory that is measured"));
    const double seconds = secondsOf(team_, [&](size_t worker, size_t workers) {
        const platform::Range range = platform::share(memory.size(), worker, workers, size_t{2} << 20);
        std::memset(memory.data() + range.begin, 1, range.end - range.begin);
    });
    return static_cast<double>(bytes) / seconds;
}

}  // namespace conclave::engine::offline
