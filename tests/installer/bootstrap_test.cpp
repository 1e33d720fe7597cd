// installer/bootstrap up to the point where it would build, with package tools that only write down what they
// were asked.
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <stdlib.h>
#include <string>
#include <sys/wait.h>

namespace conclave::tests {
namespace {

namespace fs = std::filesystem;

struct Ended {
    int code = -1;
    std::string words;  ///< standard output and error
};

class BootstrapTest : public testing::Test {
  protected:
    void SetUp() override {
        std::string pattern = (fs::temp_directory_path() / "conclave-bootstrap-XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        folder_ = pattern;
        // Every package is there but one, and installing fails.
        tool("dpkg-query", R"([ "${!#}" = libedit-dev ] || echo installed)");
        tool("apt-get", R"(echo "$@" >>")" + log() + R"("; case "$*" in *install*) exit 100 ;; esac)");
        tool("sudo", R"(exec "$@")");
    }
    void TearDown() override { fs::remove_all(folder_); }

    void tool(const std::string& name, const std::string& body) const {
        const fs::path path = folder_ / name;
        std::ofstream(path) << "#!/bin/bash\n" << body << "\n";
        fs::permissions(path, fs::perms::owner_all);
    }
    std::string log() const { return (folder_ / "asked").string(); }
    std::string asked() const {
        std::ifstream in(log());
        return {std::istreambuf_iterator<char>(in), {}};
    }
    Ended bootstrap(const std::string& words) const {
        const std::string command = "PATH=" + folder_.string() +
                                    ":$PATH " CONCLAVE_SOURCE_DIR "/installer/bootstrap " + words +
                                    " 2>&1 </dev/null";
        std::FILE* pipe = ::popen(command.c_str(), "r");
        Ended out;
        std::array<char, 4096> bytes{};
        for (size_t got = 0; (got = std::fread(bytes.data(), 1, bytes.size(), pipe)) > 0;)
            out.words.append(bytes.data(), got);
        out.code = WEXITSTATUS(::pclose(pipe));
        return out;
    }

    fs::path folder_;
};

TEST_F(BootstrapTest, ExplainsItselfAndRefusesWhatItDoesNotKnow) {
    const Ended help = bootstrap("--help");
    EXPECT_EQ(help.code, 0);
    EXPECT_NE(help.words.find("bootstrap run"), std::string::npos);
    EXPECT_NE(help.words.find("bootstrap test"), std::string::npos);
    EXPECT_NE(bootstrap("juggle").code, 0);
    EXPECT_NE(bootstrap("run --all").words.find("--all belongs to test"), std::string::npos);
    EXPECT_NE(bootstrap("test --fast").words.find("unknown argument: --fast"), std::string::npos);
    EXPECT_EQ(asked(), "");
}

TEST_F(BootstrapTest, WithoutAgreementNothingIsInstalled) {
    const Ended ended = bootstrap("run");
    EXPECT_NE(ended.code, 0);
    EXPECT_NE(ended.words.find("missing Debian packages: libedit-dev\n"), std::string::npos) << ended.words;
    EXPECT_NE(ended.words.find("--yes"), std::string::npos) << ended.words;
    EXPECT_EQ(asked(), "");
}

TEST_F(BootstrapTest, InstallsOnlyWhatIsMissingAndNeverRemoves) {
    const Ended ended = bootstrap("run --yes");
    EXPECT_NE(ended.code, 0);
    EXPECT_NE(ended.words.find("could not install all of: libedit-dev"), std::string::npos) << ended.words;
    const std::string commands = asked();
    EXPECT_NE(commands.find("update"), std::string::npos) << commands;
    EXPECT_NE(commands.find(" install --yes --no-remove --no-install-recommends libedit-dev\n"),
              std::string::npos)
        << commands;
}

}  // namespace
}  // namespace conclave::tests
