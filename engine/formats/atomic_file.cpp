#include "engine/formats/atomic_file.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <random>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace conclave::engine::formats {
namespace {

using base::Code;
using base::Error;
using base::Result;

constexpr size_t kBufferBytes = size_t{1} << 20;

std::string folderOf(const std::string& path) {
    const size_t slash = path.find_last_of('/');
    return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

Error failed(const std::string& path, int number) {
    return {Code::FileWriteFailed, path, "", {std::strerror(number)}};
}

std::string temporaryName(const std::string& path) {
    return path + ".part-" + std::to_string(std::random_device()());
}

}  // namespace

Result<AtomicFile> AtomicFile::create(const std::string& path, uint64_t bytes) {
    // A file without a name goes with the process, however that ends. Not every file system has them.
    std::string temporary;
    int descriptor = ::open(folderOf(path).c_str(), O_WRONLY | O_TMPFILE | O_CLOEXEC, 0644);
    for (int attempt = 0; descriptor < 0; ++attempt) {
        temporary = temporaryName(path);
        descriptor = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (descriptor < 0 && (errno != EEXIST || attempt == 16)) return failed(path, errno);
    }
    AtomicFile file(path, temporary, descriptor);
    // Room for the blocks only, not the length. Where it cannot be had in advance, write() will tell.
    if (bytes > 0 && ::fallocate(descriptor, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(bytes)) != 0 &&
        (errno == ENOSPC || errno == EDQUOT || errno == EFBIG))
        return file.failure();
    return file;
}

/// Gives a file that has no name one beside its last.
Result<void> AtomicFile::nameIt() {
    const std::string open = "/proc/self/fd/" + std::to_string(descriptor_);
    for (int attempt = 0; temporary_.empty(); ++attempt) {
        const std::string name = temporaryName(path_);
        if (::linkat(AT_FDCWD, open.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) == 0)
            temporary_ = name;
        else if (errno != EEXIST || attempt == 16)
            return failure();
    }
    return {};
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)), temporary_(std::exchange(other.temporary_, {})),
      descriptor_(std::exchange(other.descriptor_, -1)), written_(other.written_),
      buffer_(std::move(other.buffer_)) {}

AtomicFile::~AtomicFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Error AtomicFile::failure() const {
    return failed(path_, errno);
}

Result<void> AtomicFile::flush() {
    std::span<const std::byte> rest = buffer_;
    while (!rest.empty()) {
        const ssize_t count = ::write(descriptor_, rest.data(), rest.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return failure();
        rest = rest.subspan(static_cast<size_t>(count));
    }
    buffer_.clear();
    return {};
}

Result<void> AtomicFile::write(std::span<const std::byte> bytes) {
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
    written_ += bytes.size();
    if (buffer_.size() >= kBufferBytes) return flush();
    return {};
}

Result<void> AtomicFile::commit() {
    CONCLAVE_TRY_VOID(flush());
    if (::fsync(descriptor_) != 0) return failure();
    CONCLAVE_TRY_VOID(nameIt());
    if (::close(std::exchange(descriptor_, -1)) != 0) return failure();
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) return failure();
    temporary_.clear();
    // The new name is on the disk only when its folder is.
    const int folder = ::open(folderOf(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return failure();
    const bool synced = ::fsync(folder) == 0 || errno == EINVAL;
    const int number = errno;
    ::close(folder);
    if (!synced) return failed(path_, number);
    return {};
}

}  // namespace conclave::engine::formats
