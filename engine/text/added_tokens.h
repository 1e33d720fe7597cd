#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/ids.h"
#include "engine/formats/tokenizer_spec.h"

namespace conclave::engine::text {

/// Finds added tokens in text, leftmost first and of those the longest, as Hugging Face's tokenizers does,
/// with its flags for stripped spaces and whole words. Immutable; safe to share between threads. Linear in
/// the text (times the longest token, which checkTokenizer bounds).
class AddedTokens {
  public:
    explicit AddedTokens(std::vector<formats::AddedToken> tokens);

    /// A run of text that no token covers (no id) or one token; bounds in bytes.
    struct Part {
        size_t begin = 0, end = 0;
        std::optional<base::TokenId> id;
    };
    /// Byte ranges, ascending and apart.
    using Ranges = std::vector<std::pair<size_t, size_t>>;

    /// `text` cut into parts that cover it, spaces that a token strips included. A special token counts only
    /// where it lies whole inside one of the trusted ranges; where it does not, a shorter or later token may
    /// still match.
    std::vector<Part> split(std::string_view text, const Ranges& trusted) const;

  private:
    const formats::AddedToken* longestAt(std::string_view text, size_t at, size_t trustedUntil) const;

    std::vector<formats::AddedToken> tokens_;                   // by content
    std::array<std::pair<uint32_t, uint32_t>, 256> byFirst_{};  // tokens that begin with a byte: [from, to)
};

}  // namespace conclave::engine::text
