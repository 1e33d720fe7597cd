#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "engine/base/result.h"

namespace conclave::engine::formats {

/// Addresses whose bytes are computed when a reader needs them and forgotten when it gives them back, so that
/// hundreds of gigabytes can be read piece by piece as if they lay in memory. Zeros stand wherever nothing
/// was needed. A handle: the addresses live as long as any copy. One thread at a time.
class ComputedBytes {
  public:
    /// Writes the bytes from `offset` on; the same place always gives the same bytes.
    using Fill = std::function<void(uint64_t offset, std::span<std::byte> out)>;

    /// Takes addresses, no memory. Errors: OutOfMemory where the system has no such range.
    static base::Result<ComputedBytes> make(uint64_t bytes, Fill fill);

    std::span<const std::byte> bytes() const;
    /// Whether `part` lies inside.
    bool holds(std::span<const std::byte> part) const;
    /// Computes `part`, which must lie inside.
    void need(std::span<const std::byte> part) const;
    /// Forgets the pages that `part` touches: what else stands on them has to be needed again.
    void giveBack(std::span<const std::byte> part) const;

  private:
    struct State;
    explicit ComputedBytes(std::shared_ptr<const State> state) : state_(std::move(state)) {}
    std::shared_ptr<const State> state_;
};

}  // namespace conclave::engine::formats
