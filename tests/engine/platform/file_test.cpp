#include "engine/platform/file.h"

#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace conclave::engine::platform {
namespace {

namespace fs = std::filesystem;
using base::Code;

class FileTest : public ::testing::Test {
  protected:
    void SetUp() override {
        std::string pattern = (fs::temp_directory_path() / "conclave-file-XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        folder_ = pattern;
    }
    void TearDown() override { fs::remove_all(folder_); }
    std::string path(const char* name) const { return (folder_ / name).string(); }
    std::string write(const char* name, const std::string& content) const {
        std::ofstream(path(name), std::ios::binary) << content;
        return path(name);
    }
    fs::path folder_;
};

TEST_F(FileTest, MapsTheBytesOfARegularFile) {
    const auto file = MappedFile::open(write("a", "hello"));
    ASSERT_TRUE(file.ok());
    EXPECT_EQ(file->bytes().size(), 5u);
    EXPECT_EQ(static_cast<char>(file->bytes()[4]), 'o');
    EXPECT_TRUE(file->unchanged());
}

TEST_F(FileTest, NoticesThatTheFileWasChangedOrReplaced) {
    const auto cut = MappedFile::open(write("a", "hello"));
    ASSERT_TRUE(cut.ok());
    fs::resize_file(path("a"), 3);
    EXPECT_FALSE(cut->unchanged());
    const auto replaced = MappedFile::open(write("b", "hello"));
    ASSERT_TRUE(replaced.ok());
    fs::remove(path("b"));
    EXPECT_FALSE(replaced->unchanged());
}

TEST_F(FileTest, WhatWasCutReadsAsZerosAndTheProcessLives) {
    const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
    const std::string content(3 * page + 5, 'x');
    const auto cut = MappedFile::open(write("a", content));
    const auto whole = MappedFile::open(write("b", content));
    ASSERT_TRUE(cut.ok());
    ASSERT_TRUE(whole.ok());
    fs::resize_file(path("a"), page);
    EXPECT_EQ(cut->bytes()[page - 1], std::byte{'x'});
    EXPECT_EQ(cut->bytes()[2 * page], std::byte{0});
    EXPECT_EQ(cut->bytes()[3 * page + 4], std::byte{0});
    EXPECT_FALSE(cut->unchanged());
    fs::resize_file(path("a"), content.size());
    EXPECT_FALSE(cut->unchanged());
    EXPECT_EQ(whole->bytes()[2 * page], std::byte{'x'});
    EXPECT_TRUE(whole->unchanged());
}

TEST_F(FileTest, ABusErrorElsewhereStillEndsTheProcess) {
    const std::string file = write("a", std::string(100, 'x'));
    const auto guarded = MappedFile::open(file);
    ASSERT_TRUE(guarded.ok());
    EXPECT_DEATH(
        {
            const int fd = ::open(file.c_str(), O_RDONLY);
            auto* bare = static_cast<volatile char*>(::mmap(nullptr, 1, PROT_READ, MAP_PRIVATE, fd, 0));
            fs::resize_file(file, 0);
            (void)bare[0];
        },
        "");
}

TEST_F(FileTest, RefusesWhatIsNotARegularFileAndSaysWhatItIs) {
    ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
    write("empty", "");
    const struct {
        std::string path;
        Code code;
        const char* word;
    } cases[] = {
        {path("pipe"), Code::FileNotRegular, "named pipe"},
        {folder_.string(), Code::FileNotRegular, "folder"},
        {"/dev/zero", Code::FileNotRegular, "device"},
        {path("empty"), Code::FileEmpty, "empty"},
        {path("missing"), Code::FileNotFound, "no such"},
        {path("empty/x"), Code::FileNotFound, "no such"},
    };
    for (const auto& c : cases) {
        const auto file = MappedFile::open(c.path);
        ASSERT_FALSE(file.ok()) << c.path;
        EXPECT_EQ(file.error().code, c.code) << c.path;
        EXPECT_NE(base::render(file.error()).find(c.word), std::string::npos) << base::render(file.error());
    }
}

TEST_F(FileTest, ReadsTextUpToTheLimit) {
    const std::string file = write("a", "12345");
    EXPECT_EQ(*readTextFile(file), "12345");
    EXPECT_EQ(*readTextFile(write("b", "")), "");
    const auto tooLong = readTextFile(file, 4);
    ASSERT_FALSE(tooLong.ok());
    EXPECT_EQ(tooLong.error().code, Code::LimitExceeded);
}

TEST_F(FileTest, WritesWholeOrNotAtAll) {
    ASSERT_TRUE(writeFileAtomically(path("a"), "one").ok());
    ASSERT_TRUE(writeFileAtomically(path("a"), "two", 0600).ok());
    EXPECT_EQ(*readTextFile(path("a")), "two");
    EXPECT_FALSE(writeFileAtomically(path("missing/a"), "x").ok());
    size_t files = 0;
    for ([[maybe_unused]] const auto& entry : fs::directory_iterator(folder_))
        ++files;
    EXPECT_EQ(files, 1u);  // no temporary file is left
}

TEST_F(FileTest, TellsWhatStandsAtAPath) {
    EXPECT_EQ(pathKind(write("a", "x")), PathKind::Regular);
    EXPECT_EQ(pathKind(folder_.string()), PathKind::Folder);
    EXPECT_EQ(pathKind("/dev/null"), PathKind::Other);
    EXPECT_EQ(pathKind(path("missing")), PathKind::Missing);
}

}  // namespace
}  // namespace conclave::engine::platform
