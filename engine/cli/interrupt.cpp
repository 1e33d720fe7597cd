#include "engine/cli/interrupt.h"

#include <atomic>
#include <csignal>

#include "engine/base/result.h"

namespace conclave::engine::cli {
namespace {

std::atomic<const client::Cancellation*> current{nullptr};
struct sigaction previousAction;

void onInterrupt(int) {
    if (const client::Cancellation* cancellation = current.load()) cancellation->cancel();
}

}  // namespace

InterruptGuard::InterruptGuard() {
    CONCLAVE_CHECK(current.exchange(&cancellation_) == nullptr);
    struct sigaction action {};
    action.sa_handler = onInterrupt;  // without SA_RESTART: a sleeping read returns
    sigemptyset(&action.sa_mask);
    ::sigaction(SIGINT, &action, &previousAction);
}

InterruptGuard::~InterruptGuard() {
    ::sigaction(SIGINT, &previousAction, nullptr);
    current.store(nullptr);
}

}  // namespace conclave::engine::cli
