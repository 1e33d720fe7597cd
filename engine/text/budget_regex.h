#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "engine/text/split_pattern.h"

namespace conclave::engine::text {

/// Any other regular expression of a tokenizer.json, run by PCRE2 in UTF mode with budgets: for the steps and
/// the memory of one attempt and for the time of a whole text, so that a hostile pattern is an error and
/// never a hang. Syntax in which PCRE2 and Oniguruma differ is refused. Immutable; safe to share between
/// threads, each with its own Scan.
class BudgetRegex {
  public:
    /// Errors: UnsupportedTokenizer with PCRE2's reason.
    static base::Result<BudgetRegex> compile(const std::string& pattern, const std::string& file);

    class Scan {
      public:
        explicit Scan(const BudgetRegex& regex);
        Scan(Scan&&) noexcept;
        Scan& operator=(Scan&&) noexcept;
        ~Scan();
        /// The text of the searches that follow; valid UTF-8.
        void begin(std::string_view text);

      private:
        friend class BudgetRegex;
        struct State;
        std::unique_ptr<State> state_;
    };

    /// The first match at or after `from`. TooLong when a budget is used up.
    Search find(Scan& scan, size_t from, Match& match) const;

  private:
    struct Code;
    explicit BudgetRegex(std::shared_ptr<const Code> code);
    std::shared_ptr<const Code> code_;
};

}  // namespace conclave::engine::text
