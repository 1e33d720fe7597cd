#include "engine/client/launch.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace conclave::engine::client {
namespace {

using base::Code;
using base::Error;

constexpr off_t kLogLimit = off_t{4} << 20;  ///< a longer log is begun anew
constexpr off_t kLastWordsBytes = 4096;

/// Between fork and exec only calls that are safe in a program with threads.
[[noreturn]] void becomeProgram(const char* program, int log, int report) {
    ::setsid();
    const int nothing = ::open("/dev/null", O_RDONLY);
    ::dup2(nothing, STDIN_FILENO);
    ::dup2(log, STDOUT_FILENO);
    ::dup2(log, STDERR_FILENO);
    ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    char* const arguments[] = {const_cast<char*>(program), nullptr};
    ::execv(program, arguments);
    const int reason = errno;
    [[maybe_unused]] const ssize_t written = ::write(report, &reason, sizeof reason);
    ::_exit(127);
}

}  // namespace

base::Result<Launched> launchDetached(const std::string& program, const std::string& log) {
    const int file = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) return Error{Code::FileWriteFailed, log, {}, {std::strerror(errno)}};
    struct stat status {};
    if (::fstat(file, &status) == 0 && status.st_size > kLogLimit && ::ftruncate(file, 0) == 0)
        status.st_size = 0;
    int report[2] = {-1, -1};
    if (::pipe2(report, O_CLOEXEC) != 0) {
        ::close(file);
        return Error{Code::SystemCallFailed, program, "pipe", {std::strerror(errno)}};
    }
    const pid_t process = ::fork();
    if (process == 0) becomeProgram(program.c_str(), file, report[1]);
    const int forkReason = errno;
    ::close(file);
    ::close(report[1]);
    int reason = 0;
    const bool failed = process < 0 || ::read(report[0], &reason, sizeof reason) == sizeof reason;
    ::close(report[0]);
    if (failed) {
        if (process > 0) ::waitpid(process, nullptr, 0);
        return Error{Code::SystemCallFailed,
                     program,
                     "starting the engine",
                     {std::strerror(process < 0 ? forkReason : reason)}};
    }
    return Launched{process, log, status.st_size};
}

std::optional<std::string> lastWords(const Launched& launched) {
    int status = 0;
    if (::waitpid(launched.process, &status, WNOHANG) == 0) return std::nullopt;
    std::string words;
    const int file = ::open(launched.log.c_str(), O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
        struct stat size {};
        ::fstat(file, &size);
        const off_t from = std::max(launched.logStart, size.st_size - kLastWordsBytes);
        words.resize(static_cast<size_t>(std::max<off_t>(size.st_size - from, 0)));
        const ssize_t got = ::pread(file, words.data(), words.size(), from);
        words.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
        ::close(file);
    }
    while (!words.empty() && words.back() == '\n')
        words.pop_back();
    words.erase(0, words.rfind('\n') + 1);
    if (words.empty())
        words = WIFSIGNALED(status) ? "it was ended by signal " + std::to_string(WTERMSIG(status))
                                    : "it ended with status " + std::to_string(WEXITSTATUS(status));
    return words;
}

}  // namespace conclave::engine::client
