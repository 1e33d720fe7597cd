#pragma once

#include "engine/base/result.h"
#include "engine/platform/memory.h"
#include "engine/platform/team.h"

namespace conclave::engine::offline {

/// What the machine does at best at this moment, with every worker of a team at once: neighbours take their
/// share of it from one minute to the next, so that a figure is measured right beside its limit.
class MachineLimits {
  public:
    /// Errors: OutOfMemory (256 MiB are read).
    static base::Result<MachineLimits> make(platform::Team& team);

    // Operations (a multiplication and an addition are two) or bytes in a second.
    double int8();
    double bf16();
    double f32();
    double read();
    /// Bytes of new memory in a second: what the system needs to find and clear so much of it. Errors:
    /// OutOfMemory.
    base::Result<double> newMemory(size_t bytes);

  private:
    MachineLimits(platform::Team& team, platform::Memory memory);
    double rate(double operations, void (*run)(uint64_t rounds));

    platform::Team& team_;
    platform::Memory memory_;
};

}  // namespace conclave::engine::offline
