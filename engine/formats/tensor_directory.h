#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/formats/computed_bytes.h"
#include "engine/platform/file.h"
#include "engine/quant/format.h"

namespace conclave::engine::formats {

/// One tensor of a checked file. `shape` has the outermost dimension first (a matrix is {rows, cols});
/// `bytes` lies whole inside the file, has exactly the size that shape and format ask for, and overlaps no
/// other tensor. Tensors of safetensors files may stand at any address: read them with memcpy or the decoders
/// of engine/quant.
struct TensorInfo {
    std::string name;
    quant::Format format = quant::Format::F32;
    std::vector<uint64_t> shape;
    std::span<const std::byte> bytes;
    std::string file;  ///< of which file, for messages
};

/// A shape as messages show it: "[8, 64]".
std::string shapeText(const std::vector<uint64_t>& shape);

/// Every tensor of a model by name, from one file or many. Holds the mappings alive. Immutable once made.
class TensorDirectory {
  public:
    const TensorInfo* find(std::string_view name) const;
    /// In file order.
    const std::vector<TensorInfo>& all() const { return tensors_; }
    /// True while no file below has been changed on disk.
    bool unchanged() const;
    /// Sum of all tensors' bytes.
    uint64_t totalBytes() const;
    /// The mappings that the tensors' bytes lie in; empty where they came from memory.
    const std::vector<platform::MappedFile>& files() const { return files_; }
    /// To be called before bytes of a tensor are read: where they are computed, it computes them, which lasts
    /// until they are given back. Does nothing for bytes of files and of memory.
    void need(std::span<const std::byte> bytes) const;
    /// Takes bytes of a mapped file that will not be needed soon out of our resident memory. Reading them
    /// again is allowed and reads the file again; computed ones are forgotten, with the pages they touch.
    /// Does nothing for bytes that came from memory.
    void giveBack(std::span<const std::byte> bytes) const;

    /// For the readers in this room: a second tensor of the same name is DuplicateName.
    base::Result<void> add(TensorInfo tensor);
    void keep(platform::MappedFile file) { files_.push_back(std::move(file)); }
    void keep(ComputedBytes bytes) { computed_ = std::move(bytes); }

  private:
    std::vector<TensorInfo> tensors_;
    std::map<std::string, size_t, std::less<>> byName_;
    std::vector<platform::MappedFile> files_;
    std::optional<ComputedBytes> computed_;
};

}  // namespace conclave::engine::formats
