#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

/// What this processor could do at best, for benchmarks to divide by: loops of nothing but the fastest
/// instruction for a kind of product, and a plain read.
namespace conclave::engine::kernels {

/// A loop that does `operations` multiplications and additions a round, on the calling thread.
struct PeakLoop {
    double operations = 0;
    void (*run)(uint64_t rounds) = nullptr;
};

struct Peaks {
    PeakLoop int8;  ///< int8 times int8 into int32, or into int16 where the processor has only that
    PeakLoop bf16;  ///< bfloat16 times bfloat16 into float32; the float32 loop where the processor has none
    PeakLoop f32;
    void (*read)(std::span<const std::byte> bytes);  ///< once, ascending; a multiple of 256 bytes is read
};

/// Those of this processor.
const Peaks& peaks();

}  // namespace conclave::engine::kernels
