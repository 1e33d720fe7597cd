#pragma once

#include <map>
#include <string>
#include <vector>

namespace conclave::tests {

/// How a program ended and what it said.
struct Ended {
    int code = -1;      ///< exit code; 128 + signal where a signal ended it
    std::string out;    ///< standard output
    std::string error;  ///< standard error
};

/// Folders of one user that nobody else sees: HOME and every XDG folder lie in a temporary folder, which is
/// removed, and an engine that was started in it is stopped, when this is destroyed.
class Home {
  public:
    Home();
    ~Home();
    Home(const Home&) = delete;
    Home& operator=(const Home&) = delete;

    const std::string& folder() const { return folder_; }
    std::string path(const std::string& below) const { return folder_ + "/" + below; }
    std::string write(const std::string& below, const std::string& content) const;
    /// Runs build/bin/<program> with these words and this standard input, and waits.
    Ended run(const std::string& program, const std::vector<std::string>& words,
              const std::string& input = "") const;
    Ended conclave(const std::vector<std::string>& words, const std::string& input = "") const {
        return run("conclave", words, input);
    }

  private:
    std::string folder_;
};

}  // namespace conclave::tests
