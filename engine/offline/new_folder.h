#pragma once

#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace conclave::engine::offline {

/// A folder that appears under its name whole or not at all: it is filled under another name beside it and
/// renamed. One that is not committed is removed. Not thread-safe.
class NewFolder {
  public:
    /// Errors: BadArgument where something stands at `path` that is no empty folder; FileWriteFailed, here
    /// and below.
    static base::Result<NewFolder> create(const std::string& path);
    ~NewFolder();
    NewFolder(NewFolder&& other) noexcept;
    NewFolder& operator=(NewFolder&&) = delete;

    /// Where its files are written until commit().
    const std::string& path() const { return temporary_; }
    base::Result<void> writeText(const std::string& name, std::string_view text) const;
    base::Result<void> commit();

  private:
    NewFolder(std::string path, std::string temporary)
        : path_(std::move(path)), temporary_(std::move(temporary)) {}

    std::string path_, temporary_;
};

}  // namespace conclave::engine::offline
