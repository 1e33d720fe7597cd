#pragma once

#include "engine/client/cancellation.h"

namespace conclave::engine::cli {

/// While it lives, Ctrl-C ends what the cancellation was given to instead of the program. One at a time.
class InterruptGuard {
  public:
    InterruptGuard();
    ~InterruptGuard();
    InterruptGuard(const InterruptGuard&) = delete;
    InterruptGuard& operator=(const InterruptGuard&) = delete;

    const client::Cancellation& cancellation() const { return cancellation_; }
    bool interrupted() const { return cancellation_.cancelled(); }

  private:
    client::Cancellation cancellation_;
};

}  // namespace conclave::engine::cli
