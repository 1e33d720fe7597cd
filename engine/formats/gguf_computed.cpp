#include <algorithm>
#include <memory>
#include <utility>

#include "engine/formats/gguf_layout.h"
#include "engine/formats/gguf_parser.h"

namespace conclave::engine::formats {
namespace {

using base::Result;

/// A file's layout with what computes its tensors.
struct Image {
    GgufLayout layout;
    std::vector<GgufComputedTensor> tensors;

    /// The file's bytes from `offset` on: header, tensors, and zeros between them.
    void fill(uint64_t offset, std::span<std::byte> out) const {
        const uint64_t end = offset + out.size();
        std::fill(out.begin(), out.end(), std::byte{0});
        if (offset < layout.header.size())
            std::copy(layout.header.begin() + static_cast<ptrdiff_t>(offset),
                      layout.header.begin() +
                          static_cast<ptrdiff_t>(std::min<uint64_t>(end, layout.header.size())),
                      out.begin());
        const auto after = std::upper_bound(layout.starts.begin(), layout.starts.end(), offset);
        size_t i = static_cast<size_t>(after - layout.starts.begin());
        for (i -= i > 0 ? 1 : 0; i < tensors.size() && layout.starts[i] < end; ++i) {
            const uint64_t begin = std::max(offset, layout.starts[i]);
            const uint64_t stop = std::min(end, layout.starts[i] + layout.sizes[i]);
            if (begin < stop)
                tensors[i].fill(begin - layout.starts[i], out.subspan(begin - offset, stop - begin));
        }
    }
};

}  // namespace

Result<GgufFile> GgufFile::compute(const GgufMetadata& metadata, std::vector<GgufComputedTensor> tensors,
                                   const std::string& name) {
    std::vector<GgufWriteTensor> shapes;
    shapes.reserve(tensors.size());
    for (const GgufComputedTensor& tensor : tensors)
        shapes.push_back({tensor.name, tensor.format, tensor.shape, {}});
    auto image = std::make_shared<const Image>(Image{layOutGguf(metadata, shapes), std::move(tensors)});
    CONCLAVE_TRY(ComputedBytes bytes,
                 ComputedBytes::make(image->layout.bytes, [image](uint64_t offset, std::span<std::byte> out) {
                     image->fill(offset, out);
                 }));
    const std::span<const std::byte> header = bytes.bytes().first(image->layout.header.size());
    bytes.need(header);
    CONCLAVE_TRY(GgufFile file, parse(bytes.bytes(), name));
    bytes.giveBack(header);
    GgufParser::keep(file, std::move(bytes));
    return file;
}

}  // namespace conclave::engine::formats
