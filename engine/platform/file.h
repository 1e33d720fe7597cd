#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace conclave::engine::platform {

/// A regular file mapped read-only. Immutable; the mapping lives as long as any copy of the handle. What is
/// no longer there of a file that was cut reads as zeros, and unchanged() is false (mapping_guard.h): whoever
/// has read must ask before the bytes are believed.
class MappedFile {
  public:
    /// Refuses what is not a regular file (FIFOs, devices, folders; opened without blocking), what is empty,
    /// and what cannot be read. Errors: FileNotFound, FileNotRegular, FileEmpty, FileUnreadable.
    static base::Result<MappedFile> open(const std::string& path);

    std::span<const std::byte> bytes() const;
    const std::string& path() const;

    /// True while the file on disk still has the size, inode and modification time it was opened with.
    /// Checked by loaders between reads, so that a file changed while it loads is an error and not garbage.
    bool unchanged() const;

  private:
    struct State;
    explicit MappedFile(std::shared_ptr<const State> state) : state_(std::move(state)) {}
    std::shared_ptr<const State> state_;
};

/// The whole of a regular file as text. Larger than `limitBytes` is LimitExceeded.
base::Result<std::string> readTextFile(const std::string& path, size_t limitBytes = size_t{256} << 20);

/// Writes `path` whole or not at all: a temporary file beside it, fsync, rename, fsync of the folder.
base::Result<void> writeFileAtomically(const std::string& path, std::string_view content,
                                       unsigned mode = 0644);

enum class PathKind { Missing, Regular, Folder, Other };

/// What stands at `path` (links followed); never blocks and never throws.
PathKind pathKind(const std::string& path);

}  // namespace conclave::engine::platform
