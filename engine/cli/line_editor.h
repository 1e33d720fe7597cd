#pragma once

#include <memory>
#include <string>

namespace conclave::engine::cli {

/// Reads lines from a person at a terminal, with editing and a history kept in a file of the user's.
class LineEditor {
  public:
    /// historyFile may be empty: no history beyond this run.
    explicit LineEditor(std::string historyFile);
    ~LineEditor();
    LineEditor(const LineEditor&) = delete;
    LineEditor& operator=(const LineEditor&) = delete;

    enum class Outcome { Line, Interrupted, End };
    /// Waits for a line; `line` is without its newline. Interrupted: Ctrl-C, what was typed is dropped.
    Outcome read(const std::string& prompt, std::string& line);

    /// Adds a whole message (lines joined) to the history and saves it.
    void remember(const std::string& message);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace conclave::engine::cli
