#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

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
    /// show(), for whoever tells progress by a callback. Must not be called after the bar is gone.
    std::function<void(const std::string& stage, uint64_t done, uint64_t total)> callback();

  private:
    bool enabled_;
    bool drawn_ = false;
    int64_t lastMs_ = 0;
    std::string lastStage_;
};

/// Writes words of a model to stdout at once. Where that is a terminal, control characters other than newline
/// and tab are shown as their pictures (␛), so that a model cannot move the cursor, ring the bell or speak to
/// the terminal. `text` is valid UTF-8, whole characters.
void writeWords(std::string_view text);

/// "23.1 MB"
std::string readableBytes(uint64_t bytes);

}  // namespace conclave::engine::cli
