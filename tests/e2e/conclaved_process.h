#pragma once

#include <string>
#include <sys/types.h>
#include <vector>

namespace conclave::tests {

/// The real conclaved, with every folder of the user in a temporary one. Killed and cleaned up at the end.
class ConclavedProcess {
  public:
    explicit ConclavedProcess(std::vector<std::string> flags = {});
    ~ConclavedProcess();
    ConclavedProcess(const ConclavedProcess&) = delete;
    ConclavedProcess& operator=(const ConclavedProcess&) = delete;

    /// Waits for the line that says it is ready; false where it ended instead, or after a minute.
    bool ready();
    /// Waits for its end; the exit code, 128 + signal where a signal ended it, -1 after twenty seconds.
    int wait();
    void signal(int number) const;

    const std::string& folder() const { return folder_; }
    const std::string& socket() const { return socket_; }
    pid_t process() const { return process_; }
    std::string out() const;
    std::string error() const;

  private:
    std::string folder_, socket_;
    pid_t process_ = -1;
    int code_ = -1;
};

}  // namespace conclave::tests
