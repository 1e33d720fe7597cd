#include "engine/formats/computed_bytes.h"

#include <functional>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <utility>

namespace conclave::engine::formats {

struct ComputedBytes::State {
    std::byte* data;
    uint64_t size;
    Fill fill;

    State(std::byte* begin, uint64_t bytes, Fill filler)
        : data(begin), size(bytes), fill(std::move(filler)) {}
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() { ::munmap(data, size); }
};

base::Result<ComputedBytes> ComputedBytes::make(uint64_t bytes, Fill fill) {
    CONCLAVE_CHECK(bytes > 0);
    void* map =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED)
        return base::Error{base::Code::OutOfMemory,
                           "",
                           "addresses of a computed model",
                           {"it needs " + std::to_string(bytes >> 30) + " GiB of them"}};
    return ComputedBytes(std::make_shared<const State>(static_cast<std::byte*>(map), bytes, std::move(fill)));
}

std::span<const std::byte> ComputedBytes::bytes() const {
    return {state_->data, state_->size};
}

bool ComputedBytes::holds(std::span<const std::byte> part) const {
    const std::less_equal<> before;
    return before(state_->data, part.data()) &&
           before(part.data() + part.size(), state_->data + state_->size);
}

void ComputedBytes::need(std::span<const std::byte> part) const {
    CONCLAVE_CHECK(holds(part));
    const auto offset = static_cast<uint64_t>(part.data() - state_->data);
    state_->fill(offset, {state_->data + offset, part.size()});
}

void ComputedBytes::giveBack(std::span<const std::byte> part) const {
    CONCLAVE_CHECK(holds(part));
    const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
    const auto offset = static_cast<uint64_t>(part.data() - state_->data);
    const uint64_t begin = offset / page * page;
    // A wish: where it is refused, only memory is lost.
    ::madvise(state_->data + begin, offset + part.size() - begin, MADV_DONTNEED);
}

}  // namespace conclave::engine::formats
