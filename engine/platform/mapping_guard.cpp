#include "engine/platform/mapping_guard.h"

#include <array>
#include <csignal>
#include <cstdint>
#include <mutex>
#include <sys/mman.h>
#include <unistd.h>

namespace conclave::engine::platform {

/// Free while begin is 0. The handler reads slots without a lock, so `end` is set before `begin`.
struct MappingGuard::Slot {
    std::atomic<uintptr_t> begin{0}, end{0};
    std::atomic<bool> broken{false};
};

namespace {

/// Slots are never freed: the handler may be looking at one on another thread.
struct Chunk {
    std::array<MappingGuard::Slot, 256> slots;
    std::atomic<Chunk*> next{nullptr};
};

Chunk firstChunk;
std::mutex choosing;  ///< of a free slot
struct sigaction before;

bool replaceRest(uintptr_t address) {
    const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
    for (Chunk* chunk = &firstChunk; chunk != nullptr; chunk = chunk->next.load()) {
        for (MappingGuard::Slot& slot : chunk->slots) {
            const uintptr_t begin = slot.begin.load(), end = slot.end.load();
            if (begin == 0 || address < begin || address >= end) continue;
            const uintptr_t from = address / page * page;
            slot.broken = true;
            // mmap is a bare system call on Linux, so a handler may make it.
            return ::mmap(reinterpret_cast<void*>(from), end - from, PROT_READ,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
        }
    }
    return false;
}

void onBusError(int signal, siginfo_t* info, void* context) {
    if (replaceRest(reinterpret_cast<uintptr_t>(info->si_addr))) return;
    if ((before.sa_flags & SA_SIGINFO) != 0) return before.sa_sigaction(signal, info, context);
    if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) return before.sa_handler(signal);
    ::signal(SIGBUS, SIG_DFL);  // the access is made again and ends the process as it should
}

void install() {
    static std::once_flag once;
    std::call_once(once, [] {
        struct sigaction action {};
        action.sa_sigaction = onBusError;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK;
        ::sigemptyset(&action.sa_mask);
        ::sigaction(SIGBUS, &action, &before);
    });
}

MappingGuard::Slot& takeSlot(uintptr_t begin, uintptr_t end) {
    const std::lock_guard lock(choosing);
    for (Chunk* chunk = &firstChunk;; chunk = chunk->next.load()) {
        for (MappingGuard::Slot& slot : chunk->slots) {
            if (slot.begin.load() != 0) continue;
            slot.broken = false;
            slot.end = end;
            slot.begin = begin;
            return slot;
        }
        if (chunk->next.load() == nullptr) chunk->next = new Chunk;
    }
}

}  // namespace

MappingGuard::MappingGuard(void* data, size_t size)
    : slot_(takeSlot(reinterpret_cast<uintptr_t>(data), reinterpret_cast<uintptr_t>(data) + size)) {
    install();
}

MappingGuard::~MappingGuard() {
    slot_.begin = 0;
}

bool MappingGuard::broken() const {
    return slot_.broken;
}

}  // namespace conclave::engine::platform
