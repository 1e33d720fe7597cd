#include "engine/server/listening_socket.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

namespace conclave::engine::server {
namespace {

using base::Code;

class ListeningSocketTest : public testing::Test {
  protected:
    void SetUp() override {
        std::string name = testing::TempDir() + "socket-XXXXXX";
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        folder_ = name;
        path_ = folder_ + "/run/engine.sock";
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }

    static unsigned modeOf(const std::string& path) {
        struct stat status {};
        return ::lstat(path.c_str(), &status) == 0 ? status.st_mode & 0777 : 0;
    }
    std::string folder_, path_;
};

TEST_F(ListeningSocketTest, IsPrivateAndGoesWithItsOwner) {
    ::umask(0);
    {
        const auto socket = ListeningSocket::claim(path_);
        ASSERT_TRUE(socket.ok()) << base::render(socket.error());
        EXPECT_EQ(modeOf(path_), 0600u);
        EXPECT_EQ(modeOf(folder_ + "/run"), 0700u);
    }
    ::umask(022);
    EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(ListeningSocketTest, ALiveOneIsTaken) {
    const auto first = ListeningSocket::claim(path_);
    ASSERT_TRUE(first.ok());
    const auto second = ListeningSocket::claim(path_);
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(second.error().code, Code::SocketTaken);
    EXPECT_TRUE(std::filesystem::exists(path_));
}

TEST_F(ListeningSocketTest, ADeadOneIsReplaced) {
    const pid_t child = ::fork();
    if (child == 0) {
        const auto socket = ListeningSocket::claim(path_);
        ::kill(::getpid(), SIGKILL);
    }
    ::waitpid(child, nullptr, 0);
    ASSERT_TRUE(std::filesystem::exists(path_));
    const auto socket = ListeningSocket::claim(path_);
    EXPECT_TRUE(socket.ok()) << base::render(socket.error());
}

TEST_F(ListeningSocketTest, SomethingThatAnswersWithoutALockIsTakenToo) {
    std::filesystem::create_directory(folder_ + "/run");
    std::filesystem::permissions(folder_ + "/run", std::filesystem::perms::owner_all);
    const int other = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, path_.c_str());
    ASSERT_EQ(::bind(other, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(other, 1), 0);
    EXPECT_EQ(ListeningSocket::claim(path_).error().code, Code::SocketTaken);
    ::close(other);
    EXPECT_TRUE(ListeningSocket::claim(path_).ok());
}

TEST_F(ListeningSocketTest, WhatIsNoSocketIsLeftAlone) {
    std::filesystem::create_directory(folder_ + "/run");
    std::filesystem::permissions(folder_ + "/run", std::filesystem::perms::owner_all);
    std::ofstream(path_) << "precious";
    const auto socket = ListeningSocket::claim(path_);
    ASSERT_FALSE(socket.ok());
    EXPECT_EQ(socket.error().code, Code::SocketUnsafe);
    EXPECT_EQ(std::filesystem::file_size(path_), 8u);
}

TEST_F(ListeningSocketTest, PathsThatCannotBe) {
    EXPECT_EQ(ListeningSocket::claim(folder_ + "/" + std::string(200, 'x')).error().code, Code::PathTooLong);
    EXPECT_EQ(ListeningSocket::claim("engine.sock").error().code, Code::BadArgument);
    EXPECT_FALSE(ListeningSocket::claim(folder_ + "/a/b/c/engine.sock").ok());
    EXPECT_FALSE(std::filesystem::exists(folder_ + "/a"));
}

TEST_F(ListeningSocketTest, AFolderThatOthersMayChangeIsUnsafe) {
    std::filesystem::create_directory(folder_ + "/run");
    ::chmod((folder_ + "/run").c_str(), 0777);
    EXPECT_EQ(ListeningSocket::claim(path_).error().code, Code::SocketUnsafe);
    ::chmod((folder_ + "/run").c_str(), 01777);  // as /tmp: nobody can take away what is ours
    EXPECT_TRUE(ListeningSocket::claim(path_).ok());
}

TEST_F(ListeningSocketTest, ThePeerIsWhoTheKernelSays) {
    int pair[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    EXPECT_EQ(*peerUid(pair[0]), ::getuid());
    ::close(pair[0]);
    ::close(pair[1]);
    EXPECT_FALSE(peerUid(-1).ok());
}

}  // namespace
}  // namespace conclave::engine::server
