#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

namespace conclave::engine::platform {

/// Keeps the process alive when a mapped file is cut, or its disk fails, under our hands. The kernel answers
/// a read of such a page with SIGBUS, which would end the process and every conversation in it. While a guard
/// lives, the rest of its mapping reads as zeros from the page on that could not be had, and broken() is true
/// from then on, so that what was read is refused instead of believed.
///
/// The first guard installs the handler of SIGBUS for the process; a SIGBUS elsewhere goes to whoever handled
/// it before. Thread-safe.
class MappingGuard {
  public:
    /// `data` to `data + size` is one mapping, which must outlive the guard.
    MappingGuard(void* data, size_t size);
    ~MappingGuard();
    MappingGuard(const MappingGuard&) = delete;
    MappingGuard& operator=(const MappingGuard&) = delete;

    bool broken() const;

    struct Slot;

  private:
    Slot& slot_;
};

}  // namespace conclave::engine::platform
