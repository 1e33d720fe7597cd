#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/text/unicode_class.h"

namespace conclave::engine::text {

/// Where a pattern was found.
struct Match {
    size_t begin = 0, end = 0;
};

enum class Search : uint8_t { Found, None, TooLong };

/// A regular expression of the shape that tokenizers use: alternatives of runs of character classes, with
/// groups only around alternatives, and single-class lookaheads, such as
///     (?i:'s|'t)|[^\r\n\p{L}]?\p{L}+|\p{N}{1,3}|\s*[\r\n]+|\s+(?!\S)|\s+
/// It matches what a backtracking engine would (leftmost, first alternative, greedy), but looks at each run
/// of a class once, needs no stack that grows with the text, and gives up (TooLong) where a text would take
/// more than a fixed number of steps a byte. Syntax and meaning follow Oniguruma as Hugging Face's tokenizers
/// uses it. Immutable; safe to share between threads.
class SplitPattern {
  public:
    /// Nothing where the pattern is of another shape.
    static std::optional<SplitPattern> parse(std::string_view pattern);

    /// What one search through one text remembers. Made by scratch(), reused for text after text by begin().
    class Scan {
      public:
        void begin(std::string_view text);

      private:
        friend class SplitPattern;
        struct Run {
            size_t begin = 0, end = 0;  // every character in [begin, end) is in the class, the next is not
            uint32_t epoch = 0;         // of which text
        };
        struct Failure {
            size_t until = 0;  // no match begins before this place
            uint32_t epoch = 0;
        };
        std::string_view text_;
        std::vector<Run> runs_;          // by class: the last run looked at
        std::vector<Failure> failures_;  // by alternative
        uint64_t stepsLeft_ = 0;
        uint32_t epoch_ = 0;  // grows with each text, so that beginning one is quick
    };
    Scan scratch() const;

    /// Where the first character at or after `from` stands that a match can begin with; the text's size if
    /// there is none. A match found nowhere is found out quickly: pieces are short, and most steps leave most
    /// pieces alone.
    size_t candidate(std::string_view text, size_t from) const;

    /// The first match at or after `from`, which must lie on a character border; `text` is what Scan began
    /// with.
    Search find(Scan& scan, size_t from, Match& match) const;

  private:
    friend class SplitParser;
    enum class Kind : uint8_t { Run, Ahead, NotAhead, LineEnd, Branch };
    struct Item {
        Kind kind = Kind::Run;
        bool possessive = false;
        uint16_t charClass = 0;  // of a Branch: which of branches_
        uint32_t least = 1, most = 1;
    };
    using Sequence = std::vector<Item>;

    bool matchFrom(Scan& scan, const Sequence& items, size_t index, size_t at, size_t& end) const;
    bool matchRun(Scan& scan, const Sequence& items, size_t index, size_t at, size_t& end) const;
    bool matchAlternative(Scan& scan, size_t alternative, size_t at, size_t& end) const;
    size_t runEnd(Scan& scan, uint16_t charClass, size_t at) const;
    bool inClass(uint16_t charClass, std::string_view text, size_t at, size_t& next) const;
    void indexFirstCharacters();
    void indexPrefix(size_t alternative);

    std::vector<UnicodeClass> classes_;
    std::vector<std::vector<Sequence>>
        branches_;  // what may follow at a place, each to its end, in order of preference
    std::vector<Sequence> alternatives_;      // at most 64, in order of preference
    std::array<uint64_t, 128> startsWith_{};  // by ASCII character: which alternatives can begin with it
    uint64_t startsWide_ = 0;                 // which can begin with any other character
    // Of an alternative that begins a?b+: characters of a alone begin a match only where one of b follows.
    // Looking one character ahead saves most attempts in runs of spaces.
    std::array<uint64_t, 128> asPrefix_{};  // by ASCII character: for which alternatives it is only a prefix
    std::vector<uint16_t> second_;          // by alternative: the class b
};

}  // namespace conclave::engine::text
