#pragma once

#include <cstddef>
#include <cstdint>

/// Cases of the AVX-512 products of bfloat16 against a plain loop, bit for bit.
struct Bfloat16Counts {
    uint64_t cases = 0, floats = 0;
    uint64_t fails = 0;
};

/// Weights, activations and results end where nobody may touch memory; `bytes` of it lie before each end.
/// `corrupt`: AVX-512 reads weights of which one bit is another.
Bfloat16Counts checkBfloat16s(std::byte* weightsEnd, std::byte* activationsEnd, std::byte* resultsEnd,
                              size_t bytes, bool corrupt);
