#include "tests/engine/cli/program.h"

#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

namespace conclave::tests {
namespace {

namespace fs = std::filesystem;

struct Pipe {
    int read = -1, write = -1;
    Pipe() {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) == 0) {
            read = ends[0];
            write = ends[1];
        }
    }
};

void closeEnd(int& fd) {
    if (fd >= 0) ::close(fd);
    fd = -1;
}

/// Feeds the input and collects both outputs until the program closed them.
void exchange(Pipe& in, Pipe& out, Pipe& error, const std::string& input, Ended& ended) {
    size_t sent = 0;
    ::fcntl(in.write, F_SETFL, O_NONBLOCK);
    while (out.read >= 0 || error.read >= 0) {
        if (sent == input.size()) closeEnd(in.write);
        pollfd watched[] = {{out.read, POLLIN, 0}, {error.read, POLLIN, 0}, {in.write, POLLOUT, 0}};
        if (::poll(watched, 3, -1) < 0) continue;
        const auto drain = [](int& fd, std::string& into, short events) {
            if (events == 0) return;
            char buffer[65536];
            const ssize_t n = ::read(fd, buffer, sizeof buffer);
            if (n > 0)
                into.append(buffer, static_cast<size_t>(n));
            else
                closeEnd(fd);
        };
        drain(out.read, ended.out, watched[0].revents);
        drain(error.read, ended.error, watched[1].revents);
        if (watched[2].revents & (POLLOUT | POLLERR)) {
            const ssize_t n = ::write(in.write, input.data() + sent, input.size() - sent);
            sent = n > 0 ? sent + static_cast<size_t>(n) : input.size();
        }
    }
    closeEnd(in.write);
}

}  // namespace

Home::Home() {
    std::string pattern = (fs::temp_directory_path() / "conclave-home-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr)
        ADD_FAILURE() << "no temporary folder: " << std::strerror(errno);
    folder_ = pattern;
    fs::create_directory(folder_ + "/run");
    fs::permissions(folder_ + "/run", fs::perms::owner_all);
}

Home::~Home() {
    if (fs::exists(folder_ + "/run/conclave/engine.sock")) conclave({"stop"});
    fs::remove_all(folder_);
}

std::string Home::write(const std::string& below, const std::string& content) const {
    const fs::path file = fs::path(folder_) / below;
    fs::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << content;
    return file.string();
}

Ended Home::run(const std::string& program, const std::vector<std::string>& words,
                const std::string& input) const {
    Ended ended;
    Pipe in, out, error;
    const std::string path = std::string(CONCLAVE_BINARY_DIR) + "/bin/" + program;
    const pid_t child = ::fork();
    if (child == 0) {
        for (const auto& [name, below] : {std::pair{"HOME", ""},
                                          {"XDG_RUNTIME_DIR", "/run"},
                                          {"XDG_CONFIG_HOME", "/config"},
                                          {"XDG_DATA_HOME", "/data"},
                                          {"XDG_STATE_HOME", "/state"},
                                          {"XDG_CACHE_HOME", "/cache"}})
            ::setenv(name, (folder_ + below).c_str(), 1);
        ::dup2(in.read, STDIN_FILENO);
        ::dup2(out.write, STDOUT_FILENO);
        ::dup2(error.write, STDERR_FILENO);
        std::vector<char*> arguments{const_cast<char*>(path.c_str())};
        for (const std::string& word : words)
            arguments.push_back(const_cast<char*>(word.c_str()));
        arguments.push_back(nullptr);
        ::execv(path.c_str(), arguments.data());
        ::_exit(127);
    }
    closeEnd(in.read);
    closeEnd(out.write);
    closeEnd(error.write);
    exchange(in, out, error, input, ended);
    int status = 0;
    ::waitpid(child, &status, 0);
    ended.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return ended;
}

}  // namespace conclave::tests
