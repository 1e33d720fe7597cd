#include <utility>

#include "engine/formats/atomic_file.h"
#include "engine/formats/gguf.h"
#include "engine/formats/gguf_layout.h"
#include "engine/formats/gguf_types.h"

namespace conclave::engine::formats {
namespace {

using base::Result;

Result<void> pad(AtomicFile& file) {
    const uint64_t beyond = file.written() % kGgufDefaultAlignment;
    const std::vector<std::byte> zeros(beyond == 0 ? 0 : kGgufDefaultAlignment - beyond);
    return file.write(zeros);
}

}  // namespace

Result<void> writeGguf(const std::string& path, const GgufMetadata& metadata,
                       const std::vector<GgufWriteTensor>& tensors,
                       const std::function<void(uint64_t done, uint64_t total)>& progress) {
    const GgufLayout layout = layOutGguf(metadata, tensors);
    CONCLAVE_TRY(AtomicFile file, AtomicFile::create(path, layout.bytes));
    CONCLAVE_TRY_VOID(file.write(layout.header));
    const uint64_t start = file.written(), total = layout.bytes - start;
    for (size_t i = 0; i < tensors.size(); ++i) {
        CONCLAVE_CHECK(file.written() == layout.starts[i]);
        CONCLAVE_TRY_VOID(tensors[i].write([&](std::span<const std::byte> bytes) -> Result<void> {
            CONCLAVE_TRY_VOID(file.write(bytes));
            if (progress) progress(file.written() - start, total);
            return {};
        }));
        CONCLAVE_CHECK(file.written() - layout.starts[i] == layout.sizes[i]);
        CONCLAVE_TRY_VOID(pad(file));
    }
    if (progress) progress(total, total);
    return file.commit();
}

}  // namespace conclave::engine::formats
