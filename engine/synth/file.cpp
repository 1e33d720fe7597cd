#include "engine/synth/file.h"

#include <memory>
#include <utility>

#include "engine/formats/tensor_bytes.h"

namespace conclave::engine::synth {

void SynthFile::add(std::string name, quant::Format format, std::vector<uint64_t> shape, Values values,
                    uint64_t seed) {
    uint64_t count = 1;
    for (const uint64_t extent : shape)
        count *= extent;
    parameters += count;
    bytes += formats::tensorBytes(format, shape);
    const auto drawer = std::make_shared<const Drawer>(format, values, seed, name);
    tensors.push_back({std::move(name), format, std::move(shape),
                       [drawer](uint64_t offset, std::span<std::byte> out) { drawer->draw(offset, out); }});
}

}  // namespace conclave::engine::synth
