#pragma once

#include <string>
#include <string_view>

namespace conclave::engine::text {

/// Token bytes to text that can be shown: holds back the bytes of an unfinished character and replaces what
/// can never become valid by U+FFFD. Not thread-safe; one per stream.
class Detokenizer {
  public:
    /// Appends a token's bytes; returns what became whole.
    std::string push(std::string_view bytes);
    /// The stream is over: what is left, replaced where it is not a character.
    std::string finish();

  private:
    std::string held_;
};

}  // namespace conclave::engine::text
