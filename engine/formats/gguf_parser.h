#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/formats/gguf.h"

namespace conclave::engine::formats {

/// Reads one GGUF file from memory. Every length is compared with the bytes that are left before anything is
/// allocated for it, so that neither memory nor time exceed a small multiple of the file. Use once.
class GgufParser {
  public:
    GgufParser(std::span<const std::byte> bytes, const std::string& name) : bytes_(bytes), name_(name) {}

    base::Result<GgufFile> parse();

    /// For GgufFile::open: keeps the mapping alive, and joins the parts of a split set.
    static void keep(GgufFile& file, platform::MappedFile mapping) { file.tensors_.keep(std::move(mapping)); }
    /// For GgufFile::compute.
    static void keep(GgufFile& file, ComputedBytes bytes) { file.tensors_.keep(std::move(bytes)); }
    static base::Result<void> join(GgufFile& first, const GgufFile& part, platform::MappedFile mapping);

  private:
    static constexpr uint64_t kMostMetadataBytes = uint64_t{1} << 30;
    struct PlacedTensor {
        TensorInfo info;
        uint64_t offset, size;
    };

    size_t left() const { return bytes_.size() - at_; }
    base::Error truncated(uint64_t needed) const;
    base::Error malformed(std::string what) const;
    /// Counts memory that metadata takes; false where it is more than there may be.
    bool spend(uint64_t bytes) {
        spent_ += bytes;
        return spent_ <= kMostMetadataBytes;
    }
    base::Error tooMuchMetadata() const;

    template <class T> base::Result<T> read();
    /// The text lies in the file's bytes.
    base::Result<std::string_view> readText(uint64_t limit);
    base::Result<std::string> readName(const char* what);
    template <class T> base::Result<GgufValue> readNumbers(uint64_t count);
    uint64_t bytesOfTexts(uint64_t count) const;
    base::Result<GgufValue> readTexts(uint64_t count);
    base::Result<GgufValue> readScalar(uint32_t type);
    base::Result<GgufValue> readArray();

    base::Result<void> readHeader();
    base::Result<void> readMetadata();
    base::Result<void> readAlignment();
    base::Result<PlacedTensor> readTensor();
    base::Result<void> readTensors();
    base::Result<void> placeTensors(std::vector<PlacedTensor> tensors);

    std::span<const std::byte> bytes_;
    const std::string& name_;
    size_t at_ = 0;
    std::string field_ = "the header";  ///< what is being read, for messages
    uint64_t spent_ = 0, tensorCount_ = 0, keyCount_ = 0, alignment_ = 32;
    GgufFile file_;
};

}  // namespace conclave::engine::formats
