#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "engine/base/result.h"

namespace conclave::engine::platform {

/// Zeroed memory of our own, 64-byte aligned, in transparent huge pages where the system gives them.
/// Move-only.
class Memory {
  public:
    Memory() = default;
    /// Errors: OutOfMemory, also where the system would only promise the memory and kill the process later
    /// (more than what is available now).
    static base::Result<Memory> allocate(size_t bytes, const char* what);
    ~Memory();
    Memory(Memory&& other) noexcept;
    Memory& operator=(Memory&& other) noexcept;

    std::byte* data() const { return data_; }
    size_t size() const { return size_; }
    std::span<std::byte> bytes() const { return {data_, size_}; }

  private:
    std::byte* data_ = nullptr;
    size_t size_ = 0;
};

/// Bytes that can be used without swapping: the smaller of MemAvailable and what the cgroup leaves.
uint64_t availableMemory();
/// Bytes of memory in the machine, or of the cgroup where that is less.
uint64_t totalMemory();

/// Most bytes of this process that were resident at once, since its start or the last reset; 0 where the
/// system does not say.
uint64_t residentPeak();
/// Sets that peak to what is resident now; false where the system does not let a process do so.
bool resetPeakMemory();

/// Test hook: the n-th allocation from now fails with OutOfMemory (0 = off). Process-wide; tests only.
void failAllocationAfter(uint64_t n);

}  // namespace conclave::engine::platform
