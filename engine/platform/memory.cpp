#include "engine/platform/memory.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <limits>
#include <string>
#include <utility>

#include <sys/mman.h>

#include "engine/platform/cgroup.h"

namespace conclave::engine::platform {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;

std::atomic<uint64_t> liveBytes{0};        // of all Memory objects
std::atomic<uint64_t> allocationsLeft{0};  // failAllocationAfter

/// Bytes that /proc/meminfo or /proc/self/status gives for `key` ("MemAvailable:"); 0 where it does not.
uint64_t bytesOf(const char* file, const std::string& key) {
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);)
        if (line.compare(0, key.size(), key) == 0)
            return std::strtoull(line.c_str() + key.size(), nullptr, 10) * 1024;
    return 0;
}

/// Bytes handed out before that the system still only promises: pages that were never written.
uint64_t promisedBytes() {
    const uint64_t live = liveBytes.load(), resident = bytesOf("/proc/self/status", "RssAnon:");
    return live - std::min(live, resident);
}

std::string inGiB(uint64_t bytes) {
    char text[32];
    std::snprintf(text, sizeof text, "%.2f GiB", static_cast<double>(bytes) / static_cast<double>(1u << 30));
    return text;
}

base::Error outOfMemory(const char* what, uint64_t bytes, uint64_t available) {
    return {base::Code::OutOfMemory,
            "",
            what,
            {"it needs " + inGiB(bytes) + ", available are " + inGiB(available)}};
}

bool failNow() {
    uint64_t left = allocationsLeft.load();
    while (left > 0)
        if (allocationsLeft.compare_exchange_weak(left, left - 1)) return left == 1;
    return false;
}

}  // namespace

base::Result<Memory> Memory::allocate(size_t bytes, const char* what) {
    const uint64_t free = availableMemory();
    const uint64_t available = free - std::min(free, promisedBytes());
    if (failNow() || bytes > available || bytes > std::numeric_limits<size_t>::max() - 2 * kHugePage)
        return outOfMemory(what, bytes, available);
    Memory memory;
    if (bytes == 0) return memory;
    // mmap aligns to a page of 4 KiB only: map a huge page more, then give back what lies outside the aligned
    // part.
    const size_t pages = (bytes + 4095) / 4096 * 4096;
    const size_t slack = bytes >= kHugePage ? kHugePage : 0;
    void* map = mmap(nullptr, pages + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) return outOfMemory(what, bytes, available);
    auto* begin = static_cast<std::byte*>(map);
    if (slack > 0) {
        const size_t head = (kHugePage - reinterpret_cast<uintptr_t>(begin) % kHugePage) % kHugePage;
        if (head > 0) munmap(begin, head);
        if (slack > head) munmap(begin + head + pages, slack - head);
        begin += head;
        madvise(begin, pages, MADV_HUGEPAGE);  // a wish: small pages give the same bytes
    }
    liveBytes += bytes;
    memory.data_ = begin;
    memory.size_ = bytes;
    return memory;
}

Memory::~Memory() {
    if (data_ == nullptr) return;
    munmap(data_, (size_ + 4095) / 4096 * 4096);
    liveBytes -= size_;
}

Memory::Memory(Memory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Memory& Memory::operator=(Memory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
}

uint64_t availableMemory() {
    const uint64_t machine = bytesOf("/proc/meminfo", "MemAvailable:");
    return std::min(machine, cgroupLimits().memoryLeft.value_or(machine));
}

uint64_t totalMemory() {
    const uint64_t machine = bytesOf("/proc/meminfo", "MemTotal:");
    return std::min(machine, cgroupLimits().memory.value_or(machine));
}

uint64_t residentPeak() {
    std::ifstream in("/proc/self/status");
    for (std::string line; std::getline(in, line);)
        if (line.starts_with("VmHWM:")) return std::strtoull(line.c_str() + 6, nullptr, 10) * 1024;
    return 0;
}

bool resetPeakMemory() {
    std::ofstream out("/proc/self/clear_refs");  // 5: what is resident now becomes the peak
    out << "5" << std::flush;
    return out.good();
}

void failAllocationAfter(uint64_t n) {
    allocationsLeft = n;
}

}  // namespace conclave::engine::platform
