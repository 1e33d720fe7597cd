#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace conclave::engine::text {

/// Watches a stream for stop strings, which may span tokens and are never shown: text that could be the
/// beginning of one is held back until it is clear. Of several, the one that is complete first counts, and of
/// those that end together the longest. Time is linear in the text (Knuth, Morris and Pratt's search for each
/// stop string). Not thread-safe; one per stream.
class StopStrings {
  public:
    /// Empty strings are ignored.
    explicit StopStrings(std::vector<std::string> stops);

    struct Out {
        std::string text;      ///< safe to show
        bool stopped = false;  ///< a stop string was completed; nothing after it will be shown
    };
    /// After a stop, every further push gives nothing and `stopped`.
    Out push(std::string_view text);
    /// The stream is over without a stop string: what was held back. Nothing after a stop.
    std::string finish();

  private:
    struct Stop {
        std::string text;
        std::vector<uint32_t>
            border;          // by length matched: the longest shorter beginning that is also an ending
        size_t matched = 0;  // how much of the text ends the stream so far
        bool advance(char c);
    };
    /// The first bytes of what is held back and `more` after it.
    std::string begun(std::string_view more, size_t bytes) const;

    std::vector<Stop> stops_;
    size_t holder_ = 0,
           held_ = 0;  // what is held back is the beginning of a stop string: which, and how much of it
    bool stopped_ = false;
};

}  // namespace conclave::engine::text
