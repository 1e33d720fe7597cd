#include "engine/offline/new_folder.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <span>
#include <stdlib.h>
#include <system_error>
#include <utility>

#include "engine/formats/atomic_file.h"
#include "engine/platform/file.h"

namespace conclave::engine::offline {

namespace fs = std::filesystem;
using base::Code;
using base::Error;
using base::Result;

Result<NewFolder> NewFolder::create(const std::string& path) {
    std::error_code failed;
    const bool free = platform::pathKind(path) == platform::PathKind::Missing ||
                      (fs::is_directory(path, failed) && fs::is_empty(path, failed) && !failed);
    if (!free)
        return Error{Code::BadArgument, "", path, {"is there already; remove it or choose another name"}};
    std::string stem = path;
    while (stem.size() > 1 && stem.ends_with('/'))
        stem.pop_back();
    std::string temporary = stem + ".part-XXXXXX";
    if (::mkdtemp(temporary.data()) == nullptr)
        return Error{Code::FileWriteFailed, path, "", {std::strerror(errno)}};
    NewFolder folder(stem, std::move(temporary));
    // mkdtemp's are for their maker alone, which a result is not.
    fs::permissions(folder.temporary_, fs::perms(0755), failed);
    if (failed) return Error{Code::FileWriteFailed, path, "", {failed.message()}};
    return folder;
}

NewFolder::NewFolder(NewFolder&& other) noexcept
    : path_(std::move(other.path_)), temporary_(std::exchange(other.temporary_, {})) {}

NewFolder::~NewFolder() {
    std::error_code ignored;
    if (!temporary_.empty()) fs::remove_all(temporary_, ignored);
}

Result<void> NewFolder::writeText(const std::string& name, std::string_view text) const {
    CONCLAVE_TRY(formats::AtomicFile file, formats::AtomicFile::create(temporary_ + "/" + name, text.size()));
    CONCLAVE_TRY_VOID(file.write(std::as_bytes(std::span(text))));
    return file.commit();
}

Result<void> NewFolder::commit() {
    std::error_code failed;
    fs::rename(temporary_, path_, failed);
    if (failed) return Error{Code::FileWriteFailed, path_, "", {failed.message()}};
    temporary_.clear();
    return {};
}

}  // namespace conclave::engine::offline
