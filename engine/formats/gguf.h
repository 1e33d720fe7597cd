#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "engine/base/result.h"
#include "engine/formats/tensor_directory.h"
#include "engine/formats/text_list.h"

namespace conclave::engine::formats {

/// A metadata value of a GGUF file, with the width of the file kept. Arrays of arrays are refused.
using GgufScalar = std::variant<uint8_t, int8_t, uint16_t, int16_t, uint32_t, int32_t, float, bool,
                                std::string, uint64_t, int64_t, double>;
using GgufArray =
    std::variant<std::vector<uint8_t>, std::vector<int8_t>, std::vector<uint16_t>, std::vector<int16_t>,
                 std::vector<uint32_t>, std::vector<int32_t>, std::vector<float>, std::vector<bool>, TextList,
                 std::vector<uint64_t>, std::vector<int64_t>, std::vector<double>>;
using GgufValue = std::variant<GgufScalar, GgufArray>;
/// Keys of a file that is written, in its order.
using GgufMetadata = std::vector<std::pair<std::string, GgufValue>>;

/// A tensor whose bytes are not stored anywhere: `fill` writes those from byte `offset` of the tensor on. The
/// same place always gives the same bytes; called on any thread.
struct GgufComputedTensor {
    std::string name;
    quant::Format format;
    std::vector<uint64_t> shape;  ///< outermost first
    std::function<void(uint64_t offset, std::span<std::byte> out)> fill;
};

/// A checked GGUF file, version 2 or 3, one file or the first of a split set (the others are found beside it
/// by `split.count`). Source: the GGUF specification in ggml's docs/gguf.md. Immutable; safe to share between
/// threads.
///
/// Limits, each a LimitExceeded: string 16 MiB, array 64 Mi elements, metadata 1 GiB in all, 4 dimensions,
/// alignment a power of two up to 1 MiB, key and tensor counts by what the file can hold.
class GgufFile {
  public:
    static base::Result<GgufFile> open(const std::string& path);
    /// The same from memory, for tests and fuzzing; `name` stands in messages. The bytes must outlive the
    /// result.
    static base::Result<GgufFile> parse(std::span<const std::byte> bytes, const std::string& name);
    /// The file that writeGguf would make of these, byte for byte, without a disk and without its size in
    /// memory: a tensor's bytes are there from TensorDirectory::need to giveBack. `name` takes the place of
    /// the path. Errors: OutOfMemory.
    static base::Result<GgufFile> compute(const GgufMetadata& metadata,
                                          std::vector<GgufComputedTensor> tensors, const std::string& name);

    const std::string& path() const { return path_; }
    uint32_t version() const { return version_; }
    const TensorDirectory& tensors() const { return tensors_; }
    const std::map<std::string, GgufValue, std::less<>>& metadata() const { return metadata_; }

    bool has(std::string_view key) const { return metadata_.find(key) != metadata_.end(); }

    // Typed getters. A missing key is MissingKey, another type WrongType; any integer width is accepted where
    // the value fits, and a bool only as a bool. The forms with a default give it for a missing key only.
    base::Result<std::string> text(std::string_view key) const;
    base::Result<uint64_t> unsignedInt(std::string_view key) const;
    base::Result<int64_t> signedInt(std::string_view key) const;
    base::Result<double> number(std::string_view key) const;
    base::Result<bool> boolean(std::string_view key) const;
    base::Result<std::string> text(std::string_view key, std::string otherwise) const;
    base::Result<uint64_t> unsignedInt(std::string_view key, uint64_t otherwise) const;
    base::Result<double> number(std::string_view key, double otherwise) const;
    base::Result<bool> boolean(std::string_view key, bool otherwise) const;
    base::Result<const TextList*> texts(std::string_view key) const;  ///< lives as long as the file
    base::Result<std::vector<float>> floats(std::string_view key) const;
    base::Result<std::vector<int64_t>> integers(std::string_view key) const;

  private:
    friend class GgufParser;
    std::string path_;
    uint32_t version_ = 0;
    std::map<std::string, GgufValue, std::less<>> metadata_;
    TensorDirectory tensors_;
};

/// Metadata in file order and tensors, written as one GGUF version 3 file.
struct GgufWriteTensor {
    std::string name;
    quant::Format format;
    std::vector<uint64_t> shape;  ///< outermost first
    /// Appends the tensor's bytes to the open file through `sink`, in pieces; called once, in order.
    std::function<base::Result<void>(
        const std::function<base::Result<void>(std::span<const std::byte>)>& sink)>
        write;
};

/// Writes to a temporary file beside `path` and renames it when whole, so that a full disk leaves no half
/// model. progress(done, total) in bytes; may be empty.
base::Result<void> writeGguf(const std::string& path, const GgufMetadata& metadata,
                             const std::vector<GgufWriteTensor>& tensors,
                             const std::function<void(uint64_t done, uint64_t total)>& progress);

}  // namespace conclave::engine::formats
