// Any bytes as a safetensors file: an error or a directory whose tensors fill the data exactly.

#include <cstdint>
#include <cstdlib>

#include "engine/formats/safetensors.h"

namespace formats = conclave::engine::formats;
namespace base = conclave::engine::base;

namespace {

void require(bool promise) {
    if (!promise) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
    formats::TensorDirectory into;
    const auto read = formats::parseSafetensors(bytes, "fuzz.safetensors", into);
    if (!read.ok()) {
        require(read.error().code != base::Code::Internal && !base::render(read.error()).empty());
        return 0;
    }
    const std::byte* next = nullptr;
    for (const formats::TensorInfo& tensor : into.all()) {
        require(tensor.bytes.data() >= bytes.data());
        require(next == nullptr || tensor.bytes.data() == next);
        next = tensor.bytes.data() + tensor.bytes.size();
        require(into.find(tensor.name) == &tensor);
    }
    require(next == nullptr || next == bytes.data() + bytes.size());
    return 0;
}
