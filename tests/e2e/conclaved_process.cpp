#include "tests/e2e/conclaved_process.h"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace conclave::tests {
namespace {

std::string content(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

constexpr std::chrono::milliseconds kPause{10};

}  // namespace

ConclavedProcess::ConclavedProcess(std::vector<std::string> flags) {
    std::string name = testing::TempDir() + "conclaved-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    folder_ = name;
    for (const char* below : {"config", "data", "state", "cache", "runtime"})
        std::filesystem::create_directory(folder_ + "/" + below);
    socket_ = folder_ + "/runtime/conclave/engine.sock";
    const std::string program = std::string(CONCLAVE_BINARY_DIR) + "/bin/conclaved";
    process_ = ::fork();
    if (process_ != 0) return;
    for (const auto& [variable, below] : {std::pair("XDG_CONFIG_HOME", "config"),
                                          {"XDG_DATA_HOME", "data"},
                                          {"XDG_STATE_HOME", "state"},
                                          {"XDG_CACHE_HOME", "cache"},
                                          {"XDG_RUNTIME_DIR", "runtime"},
                                          {"HOME", "."}})
        ::setenv(variable, (folder_ + "/" + below).c_str(), 1);
    const int out = ::open((folder_ + "/out").c_str(), O_WRONLY | O_CREAT, 0600);
    const int error = ::open((folder_ + "/error").c_str(), O_WRONLY | O_CREAT, 0600);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(error, STDERR_FILENO);
    std::vector<char*> words{const_cast<char*>("conclaved")};
    for (std::string& flag : flags)
        words.push_back(flag.data());
    words.push_back(nullptr);
    ::execv(program.c_str(), words.data());
    ::_exit(127);
}

ConclavedProcess::~ConclavedProcess() {
    if (code_ < 0) {
        signal(SIGKILL);
        ::waitpid(process_, nullptr, 0);
    }
    std::filesystem::remove_all(folder_);
}

std::string ConclavedProcess::out() const {
    return content(folder_ + "/out");
}
std::string ConclavedProcess::error() const {
    return content(folder_ + "/error");
}

void ConclavedProcess::signal(int number) const {
    ::kill(process_, number);
}

bool ConclavedProcess::ready() {
    for (int i = 0; i < 6000; ++i) {
        if (out().find("listens on") != std::string::npos) return true;
        int status = 0;
        if (::waitpid(process_, &status, WNOHANG) == process_) {
            code_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
            return false;
        }
        std::this_thread::sleep_for(kPause);
    }
    return false;
}

int ConclavedProcess::wait() {
    for (int i = 0; i < 2000 && code_ < 0; ++i) {
        int status = 0;
        if (::waitpid(process_, &status, WNOHANG) == process_)
            code_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        else
            std::this_thread::sleep_for(kPause);
    }
    return code_;
}

}  // namespace conclave::tests
