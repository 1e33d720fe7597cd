#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace conclave::engine::text {

/// Watches a stream for stop strings, which may span tokens and are never shown: text that could be the beginning of one
/// is held back until it is clear. Not thread-safe; one per stream.
class StopStrings {
  public:
    /// Empty strings are ignored.
    explicit StopStrings(std::vector<std::string> stops);

    struct Out {
        std::string text;      ///< safe to show
        bool stopped = false;  ///< a stop string was completed; nothing after it will be shown
    };
    Out push(std::string_view text);
    /// The stream is over without a stop string: what was held back.
    std::string finish();

  private:
    std::vector<std::string> stops_;
    std::string held_;
};

}  // namespace conclave::engine::text
