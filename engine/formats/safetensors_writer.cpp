#include "engine/formats/safetensors_writer.h"

#include <cstring>
#include <nlohmann/json.hpp>

#include "engine/formats/atomic_file.h"

namespace conclave::engine::formats {
namespace {

using base::Result;
using quant::Format;

constexpr size_t kAlignment = 8;

const char* typeOf(Format format) {
    CONCLAVE_CHECK(format == Format::F32 || format == Format::F16 || format == Format::BF16);
    return format == Format::F32 ? "F32" : format == Format::F16 ? "F16" : "BF16";
}

uint64_t sizeOf(const SafetensorsWriteTensor& tensor) {
    uint64_t bytes = quant::info(tensor.format).blockBytes;
    for (const uint64_t extent : tensor.shape)
        bytes *= extent;
    return bytes;
}

}  // namespace

Result<void> writeSafetensors(const std::string& path, const std::vector<SafetensorsWriteTensor>& tensors) {
    nlohmann::ordered_json header{{"__metadata__", {{"format", "pt"}}}};
    uint64_t end = 0;
    for (const SafetensorsWriteTensor& tensor : tensors) {
        const uint64_t begin = end;
        end += sizeOf(tensor);
        header[tensor.name] = {
            {"dtype", typeOf(tensor.format)}, {"shape", tensor.shape}, {"data_offsets", {begin, end}}};
    }
    std::string text = header.dump();
    text.append((kAlignment - text.size() % kAlignment) % kAlignment, ' ');
    const uint64_t length = text.size();

    CONCLAVE_TRY(AtomicFile file, AtomicFile::create(path, sizeof length + length + end));
    CONCLAVE_TRY_VOID(file.write(std::as_bytes(std::span(&length, 1))));
    CONCLAVE_TRY_VOID(file.write(std::as_bytes(std::span(text))));
    for (const SafetensorsWriteTensor& tensor : tensors) {
        CONCLAVE_TRY(const std::vector<std::byte> bytes, tensor.bytes());
        CONCLAVE_CHECK(bytes.size() == sizeOf(tensor));
        CONCLAVE_TRY_VOID(file.write(bytes));
    }
    return file.commit();
}

}  // namespace conclave::engine::formats
