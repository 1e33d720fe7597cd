#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/base/result.h"
#include "engine/formats/tokenizer_spec.h"
#include "engine/text/text_search.h"

namespace conclave::engine::text {

/// What a tokenizer does to a stretch of text before it is cut: NFC, replacements, a prefix. Immutable; safe
/// to share between threads. Linear in the text.
class Normalizer {
  public:
    /// Errors: UnsupportedTokenizer.
    static base::Result<Normalizer> make(const std::vector<formats::NormalizerStep>& steps, std::string file);

    bool changesNothing() const { return steps_.empty(); }
    /// `text` is valid UTF-8. An empty text stays empty. Errors: LimitExceeded where replacements blow the
    /// text up.
    base::Result<std::string> apply(std::string_view text) const;

  private:
    struct Nfc {};
    struct Prepend {
        std::string prefix;
    };
    struct Replace {
        TextSearch search;
        std::string content;
    };
    base::Result<std::string> replace(const Replace& step, std::string_view text, size_t limit) const;

    std::string file_;
    std::vector<std::variant<Nfc, Prepend, Replace>> steps_;
};

/// Unicode's normalization form C. Linear even where a text has millions of combining marks in a row.
std::string toNfc(std::string_view text);

}  // namespace conclave::engine::text
