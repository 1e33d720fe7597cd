#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

namespace conclave::engine::testing {

/// A folder of one test's own, removed with it. The user's cache is kept in it as well, so that no test
/// writes elsewhere.
class TestFolder {
  public:
    TestFolder() {
        std::string form = (std::filesystem::temp_directory_path() / "conclave-library-XXXXXX").string();
        EXPECT_NE(::mkdtemp(form.data()), nullptr);
        path_ = form;
        ::setenv("XDG_CACHE_HOME", (path_ / "cache").c_str(), 1);
    }
    ~TestFolder() {
        std::error_code failed;
        std::filesystem::remove_all(path_, failed);
    }
    TestFolder(const TestFolder&) = delete;
    TestFolder& operator=(const TestFolder&) = delete;

    std::string at(const std::string& name) const { return (path_ / name).string(); }
    std::string write(const std::string& name, const std::string& content) const {
        std::filesystem::create_directories((path_ / name).parent_path());
        std::ofstream(path_ / name, std::ios::binary) << content;
        return at(name);
    }
    /// Changes one JSON file of a copied model.
    template <class Change> void edit(const std::string& name, Change change) const {
        nlohmann::json value = nlohmann::json::parse(std::ifstream(path_ / name));
        change(value);
        write(name, value.dump());
    }
    /// A copy of a tiny model of the fixtures.
    std::string copyModel(const std::string& fixture, const std::string& name) const {
        std::filesystem::create_directories((path_ / name).parent_path());
        std::filesystem::copy(fixturePath(fixture), path_ / name, std::filesystem::copy_options::recursive);
        return at(name);
    }
    static std::string fixturePath(const std::string& name) {
        return CONCLAVE_SOURCE_DIR "/tests/fixtures/models/" + name;
    }

  private:
    std::filesystem::path path_;
};

/// Whether one of the sentences holds `part`.
template <class Sentences> bool mentions(const Sentences& sentences, const std::string& part) {
    for (const std::string& sentence : sentences)
        if (sentence.find(part) != std::string::npos) return true;
    return false;
}

}  // namespace conclave::engine::testing
