// Any bytes as a GGUF file: an error or a directory whose tensors lie inside the bytes.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "engine/formats/gguf.h"
#include "engine/formats/tokenizer_spec.h"

namespace formats = conclave::engine::formats;
namespace base = conclave::engine::base;

namespace {

void require(bool promise) {
    if (!promise) std::abort();
}

/// Whatever is asked of a key gives a value or an error with a sentence.
template <class T> void ask(const base::Result<T>& answer) {
    if (!answer.ok()) require(!base::render(answer.error()).empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
    const auto file = formats::GgufFile::parse(bytes, "fuzz.gguf");
    if (!file.ok()) {
        require(file.error().code != base::Code::Internal && !base::render(file.error()).empty());
        return 0;
    }
    for (const auto& [key, value] : file->metadata()) {
        ask(file->text(key));
        ask(file->unsignedInt(key));
        ask(file->signedInt(key));
        ask(file->number(key));
        ask(file->boolean(key));
        ask(file->texts(key));
        ask(file->floats(key));
        ask(file->integers(key));
    }
    for (const formats::TensorInfo& tensor : file->tensors().all()) {
        require(tensor.bytes.data() >= bytes.data());
        require(tensor.bytes.data() + tensor.bytes.size() <= bytes.data() + bytes.size());
        const auto& format = conclave::engine::quant::info(tensor.format);
        if (!format.decode) continue;
        require(tensor.bytes.size() % format.blockBytes == 0);
        std::vector<float> values(format.blockValues);
        for (size_t at = 0; at < tensor.bytes.size(); at += format.blockBytes)
            format.decode(tensor.bytes.data() + at, 1, values.data());
    }
    ask(formats::readGgufVocabulary(*file));
    return 0;
}
