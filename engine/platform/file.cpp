#include "engine/platform/file.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <random>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "engine/platform/mapping_guard.h"

namespace conclave::engine::platform {
namespace {

using base::Code;
using base::Error;
using base::Result;

/// Closes a descriptor on every way out.
class Descriptor {
  public:
    explicit Descriptor(int fd) : fd_(fd) {}
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Descriptor& operator=(Descriptor&&) = delete;
    int get() const { return fd_; }
    /// close() can report a write that failed late.
    bool close() { return ::close(std::exchange(fd_, -1)) == 0; }

  private:
    int fd_;
};

std::string kindName(mode_t mode) {
    if (S_ISDIR(mode)) return "a folder";
    if (S_ISFIFO(mode)) return "a named pipe";
    if (S_ISCHR(mode) || S_ISBLK(mode)) return "a device";
    if (S_ISSOCK(mode)) return "a socket";
    return "a special file";
}

Error openFailure(const std::string& path, int number) {
    if (number == ENOENT || number == ENOTDIR) return {Code::FileNotFound, path, "", {}};
    if (number == ENXIO) return {Code::FileNotRegular, path, "", {"a socket or named pipe"}};
    return {Code::FileUnreadable, path, "", {std::strerror(number)}};
}

struct OpenFile {
    Descriptor descriptor;
    struct stat status;
};

/// Opens without blocking (a FIFO would wait for a writer) and refuses what is not regular.
Result<OpenFile> openRegular(const std::string& path) {
    Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (fd.get() < 0) return openFailure(path, errno);
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0) return Error{Code::FileUnreadable, path, "", {std::strerror(errno)}};
    if (!S_ISREG(status.st_mode)) return Error{Code::FileNotRegular, path, "", {kindName(status.st_mode)}};
    return OpenFile{std::move(fd), status};
}

Error writeFailure(const std::string& path) {
    return {Code::FileWriteFailed, path, "", {std::strerror(errno)}};
}

Result<void> writeAll(int fd, std::string_view content, const std::string& path) {
    while (!content.empty()) {
        const ssize_t n = ::write(fd, content.data(), content.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return writeFailure(path);
        content.remove_prefix(static_cast<size_t>(n));
    }
    return {};
}

}  // namespace

struct MappedFile::State {
    std::string path;
    void* data = nullptr;
    size_t size = 0;
    struct stat status {};
    std::optional<MappingGuard> guard;

    ~State() {
        guard.reset();
        if (data) ::munmap(data, size);
    }
};

Result<MappedFile> MappedFile::open(const std::string& path) {
    CONCLAVE_TRY(OpenFile file, openRegular(path));
    if (file.status.st_size == 0) return Error{Code::FileEmpty, path, "", {}};
    auto state = std::make_shared<State>();
    state->path = path;
    state->status = file.status;
    const auto size = static_cast<size_t>(file.status.st_size);
    void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.descriptor.get(), 0);
    if (data == MAP_FAILED) return Error{Code::FileUnreadable, path, "", {std::strerror(errno)}};
    state->data = data;
    state->size = size;
    state->guard.emplace(data, size);
    return MappedFile(std::move(state));
}

std::span<const std::byte> MappedFile::bytes() const {
    return {static_cast<const std::byte*>(state_->data), state_->size};
}

const std::string& MappedFile::path() const {
    return state_->path;
}

bool MappedFile::unchanged() const {
    struct stat now {};
    if (state_->guard->broken()) return false;
    if (::stat(state_->path.c_str(), &now) != 0) return false;
    const struct stat& then = state_->status;
    return now.st_ino == then.st_ino && now.st_dev == then.st_dev && now.st_size == then.st_size &&
           now.st_mtim.tv_sec == then.st_mtim.tv_sec && now.st_mtim.tv_nsec == then.st_mtim.tv_nsec;
}

Result<std::string> readTextFile(const std::string& path, size_t limitBytes) {
    CONCLAVE_TRY(OpenFile file, openRegular(path));
    const auto size = static_cast<size_t>(file.status.st_size);
    if (size > limitBytes)
        return Error{Code::LimitExceeded, path, "size", {std::to_string(size), std::to_string(limitBytes)}};
    std::string text(size, '\0');
    size_t done = 0;
    while (done < size) {
        const ssize_t n = ::read(file.descriptor.get(), text.data() + done, size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return Error{Code::FileUnreadable, path, "", {std::strerror(errno)}};
        if (n == 0) return Error{Code::FileTruncated, path, "text", {"it became shorter while it was read"}};
        done += static_cast<size_t>(n);
    }
    return text;
}

Result<void> writeFileAtomically(const std::string& path, std::string_view content, unsigned mode) {
    const size_t slash = path.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    const std::string temporary = path + ".part-" + std::to_string(std::random_device{}());
    Descriptor fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
    if (fd.get() < 0) return writeFailure(path);
    Result<void> written = writeAll(fd.get(), content, path);
    if (written.ok() &&
        (::fsync(fd.get()) != 0 || !fd.close() || ::rename(temporary.c_str(), path.c_str()) != 0))
        written = writeFailure(path);
    if (!written.ok()) {
        ::unlink(temporary.c_str());
        return written;
    }
    const Descriptor parent(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (parent.get() >= 0 && ::fsync(parent.get()) != 0) return writeFailure(path);
    return {};
}

PathKind pathKind(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) return PathKind::Missing;
    if (S_ISREG(status.st_mode)) return PathKind::Regular;
    return S_ISDIR(status.st_mode) ? PathKind::Folder : PathKind::Other;
}

}  // namespace conclave::engine::platform
