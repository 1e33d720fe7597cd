#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/formats/gguf.h"
#include "engine/synth/draw.h"

namespace conclave::engine::synth {

/// What a GGUF file of random values holds; nothing is drawn before a tensor's `fill` is called.
struct SynthFile {
    formats::GgufMetadata metadata;
    std::vector<formats::GgufComputedTensor> tensors;
    uint64_t parameters = 0;
    uint64_t bytes = 0;  ///< of all tensors

    /// A tensor whose values are drawn from the generator of `seed` and its name.
    void add(std::string name, quant::Format format, std::vector<uint64_t> shape, Values values,
             uint64_t seed);
};

}  // namespace conclave::engine::synth
