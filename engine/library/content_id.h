#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace conclave::engine::library {

/// What identifies a model is the content of its files: SHA-256 (FIPS 180-4) as 64 hexadecimal digits over
/// the sorted lines "sha256 size name\n" of `files` (paths; the name is the last part).
///
/// Hashes of single files are remembered in `cacheFolder`/file-hashes.json by device, inode, size and
/// modification time, but not those of files changed in the last two seconds, whose time could stand still
/// through another change; an empty `cacheFolder` remembers nothing. A cache that cannot be read or written
/// costs time and nothing else; why it could not be written is in `cacheProblem`.
struct ContentHash {
    std::string sha256;
    std::string cacheProblem;
};
base::Result<ContentHash> hashContent(const std::vector<std::string>& files, const std::string& cacheFolder,
                                      const std::function<void(uint64_t done, uint64_t total)>& progress);

/// The same form over what the file system says (device, inode, size, modification time) instead of the
/// bytes: tells files of this machine apart without reading them.
base::Result<std::string> hashOfIdentities(const std::vector<std::string>& files);

/// The same, and empty where a file was changed in the last two seconds, whose time could stand still through
/// another change: files with one identity that is not empty are the same unread.
base::Result<std::string> settledIdentity(const std::vector<std::string>& files);

/// SHA-256 of a text: the content of a model that is computed from it and lies in no file.
std::string hashOfText(const std::string& text);

}  // namespace conclave::engine::library
