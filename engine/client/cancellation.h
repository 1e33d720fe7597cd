#pragma once

#include <memory>

namespace conclave::engine::client {

/// Ends blocking calls from another thread or from a signal handler. Copies share one state. Thread-safe;
/// cancel() is async-signal-safe.
class Cancellation {
  public:
    Cancellation();
    void cancel() const noexcept;
    bool cancelled() const noexcept;
    /// Readable once cancelled; for poll().
    int descriptor() const noexcept;

  private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace conclave::engine::client
