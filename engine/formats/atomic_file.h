#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace conclave::engine::formats {

/// A large file that appears under its name whole or not at all: it is written in the same folder without a
/// name, or under another where the file system has no such files, flushed to the disk and renamed. One that
/// is not committed is removed. Not thread-safe.
class AtomicFile {
  public:
    /// Errors: FileWriteFailed, here and below. `bytes` of disk are reserved where the file system can, so
    /// that a full disk is found before the work.
    static base::Result<AtomicFile> create(const std::string& path, uint64_t bytes);
    ~AtomicFile();
    AtomicFile(AtomicFile&& other) noexcept;
    AtomicFile& operator=(AtomicFile&&) = delete;

    base::Result<void> write(std::span<const std::byte> bytes);
    /// Bytes given to write() so far.
    uint64_t written() const { return written_; }
    base::Result<void> commit();

  private:
    AtomicFile(std::string path, std::string temporary, int descriptor)
        : path_(std::move(path)), temporary_(std::move(temporary)), descriptor_(descriptor) {}

    base::Error failure() const;
    base::Result<void> flush();
    base::Result<void> nameIt();

    std::string path_, temporary_;  ///< no temporary name: the file has none so far
    int descriptor_;
    uint64_t written_ = 0;
    std::vector<std::byte> buffer_;
};

}  // namespace conclave::engine::formats
