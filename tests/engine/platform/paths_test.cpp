#include "engine/platform/paths.h"

#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>
#include <string>
#include <unistd.h>

namespace conclave::engine::platform {
namespace {

namespace fs = std::filesystem;

TEST(Paths, FollowTheXdgVariablesAndIgnoreRelativeOnes) {
    ::setenv("HOME", "/home/ada", 1);
    ::setenv("XDG_CONFIG_HOME", "/etc/ada", 1);
    ::setenv("XDG_DATA_HOME", "relative", 1);
    ::unsetenv("XDG_STATE_HOME");
    ::unsetenv("XDG_CACHE_HOME");
    ::setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
    UserPaths paths = userPaths();
    EXPECT_EQ(paths.config, "/etc/ada/conclave");
    EXPECT_EQ(paths.data, "/home/ada/.local/share/conclave");
    EXPECT_EQ(paths.state, "/home/ada/.local/state/conclave");
    EXPECT_EQ(paths.cache, "/home/ada/.cache/conclave");
    EXPECT_EQ(paths.runtime, "/run/user/7/conclave");
    ::unsetenv("XDG_RUNTIME_DIR");
    EXPECT_EQ(userPaths().runtime, "/tmp/conclave-" + std::to_string(::getuid()));
}

TEST(Paths, ResourcesOfACheckoutAreFoundFromTheBinary) {
    EXPECT_EQ(fs::weakly_canonical(resourcesFolder()),
              fs::weakly_canonical(std::string(CONCLAVE_SOURCE_DIR) + "/resources"));
}

class PrivateFolderTest : public ::testing::Test {
  protected:
    void SetUp() override {
        std::string pattern = (fs::temp_directory_path() / "conclave-paths-XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        folder_ = pattern;
    }
    void TearDown() override { fs::remove_all(folder_); }
    fs::path folder_;
};

TEST_F(PrivateFolderTest, IsMadeForTheOwnerAlone) {
    const fs::path made = folder_ / "run";
    ASSERT_TRUE(makePrivateFolder(made.string()).ok());
    EXPECT_EQ(fs::status(made).permissions() & fs::perms::all, fs::perms::owner_all);
    EXPECT_TRUE(makePrivateFolder(made.string()).ok());
}

TEST_F(PrivateFolderTest, RefusesOpenFoldersLinksAndFiles) {
    const fs::path open = folder_ / "open";
    fs::create_directory(open);
    fs::permissions(open, fs::perms::owner_all | fs::perms::others_read);
    fs::create_directory_symlink(open, folder_ / "link");
    for (const fs::path& path : {open, folder_ / "link", folder_ / "missing" / "run"})
        EXPECT_FALSE(makePrivateFolder(path.string()).ok()) << path;
    EXPECT_EQ(makePrivateFolder(open.string()).error().code, base::Code::SocketUnsafe);
}

}  // namespace
}  // namespace conclave::engine::platform
