#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "engine/base/result.h"
#include "engine/text/budget_regex.h"
#include "engine/text/split_pattern.h"

namespace conclave::engine::text {

/// What a tokenizer step looks for: a literal text, a pattern of the usual shape, or any other regular
/// expression. Immutable; safe to share between threads, each with its own Scan.
class TextSearch {
  public:
    /// Errors: UnsupportedTokenizer.
    static base::Result<TextSearch> compile(const std::string& pattern, bool isRegex,
                                            const std::string& file);

    class Scan {
      public:
        void begin(std::string_view text);

      private:
        friend class TextSearch;
        std::variant<std::string_view, SplitPattern::Scan, BudgetRegex::Scan> state_;
    };
    Scan scratch() const;

    /// False where no match can begin anywhere in `text`, so far as a glance tells; needs no Scan.
    bool mayMatch(std::string_view text) const;

    /// The first match at or after `from` in the text that `scan` began with. Of a literal, the leftmost.
    Search find(Scan& scan, size_t from, Match& match) const;

    /// The text looked for, where it is a literal one.
    const std::string* literal() const { return std::get_if<std::string>(&matcher_); }

    /// What to say when find() gave TooLong.
    base::Error tooLong(const std::string& file) const;

  private:
    std::string pattern_;
    std::variant<std::string, SplitPattern, BudgetRegex> matcher_;
};

}  // namespace conclave::engine::text
