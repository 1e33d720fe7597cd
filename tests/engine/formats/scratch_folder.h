#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <string>

namespace conclave::engine::formats {

/// A folder of the test's own, removed with what lies in it.
class ScratchFolder {
  public:
    ScratchFolder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "conclave-test-XXXXXX").string();
        EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
        path_ = pattern;
    }
    ~ScratchFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    ScratchFolder(const ScratchFolder&) = delete;
    ScratchFolder& operator=(const ScratchFolder&) = delete;

    const std::string& path() const { return path_; }
    std::string path(const std::string& name) const { return path_ + "/" + name; }
    /// Returns the path.
    std::string write(const std::string& name, const std::string& content) const {
        std::ofstream file(path(name), std::ios::binary);
        file << content;
        EXPECT_TRUE(file.good());
        return path(name);
    }

  private:
    std::string path_;
};

}  // namespace conclave::engine::formats
