#include "engine/client/cancellation.h"

#include <atomic>
#include <cstdint>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/base/result.h"

namespace conclave::engine::client {

struct Cancellation::State {
    State() : descriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) { CONCLAVE_CHECK(descriptor >= 0); }
    ~State() { ::close(descriptor); }
    int descriptor;
    std::atomic<bool> cancelled{false};
};

Cancellation::Cancellation() : state_(std::make_shared<State>()) {}

void Cancellation::cancel() const noexcept {
    state_->cancelled.store(true);
    const uint64_t one = 1;
    // A full counter is readable already, so a failed write changes nothing.
    [[maybe_unused]] const ssize_t written = ::write(state_->descriptor, &one, sizeof one);
}

bool Cancellation::cancelled() const noexcept {
    return state_->cancelled.load();
}
int Cancellation::descriptor() const noexcept {
    return state_->descriptor;
}

}  // namespace conclave::engine::client
