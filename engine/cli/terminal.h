#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace conclave::engine::cli {

bool stdinIsTerminal();
bool stdoutIsTerminal();
bool stderrIsTerminal();

/// A progress bar on stderr, drawn only where that is a terminal and at most ten times a second; gone when it
/// is destroyed. One at a time.
class ProgressBar {
  public:
    ProgressBar();
    ~ProgressBar();
    ProgressBar(const ProgressBar&) = delete;
    ProgressBar& operator=(const ProgressBar&) = delete;
    /// `total` 0 = unknown.
    void show(const std::string& stage, uint64_t done, uint64_t total);
    void clear();

  private:
    bool enabled_;
    bool drawn_ = false;
    int64_t lastMs_ = 0;
    std::string lastStage_;
};

/// "23.1 MB"
std::string readableBytes(uint64_t bytes);

}  // namespace conclave::engine::cli
