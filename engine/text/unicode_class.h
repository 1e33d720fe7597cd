#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace conclave::engine::text {

/// A set of code points, as a character class of a regular expression describes it: general categories,
/// ranges, or the complement of both. Immutable once built; safe to share between threads.
class UnicodeClass {
  public:
    /// Code points low to high, both included.
    void addRange(char32_t low, char32_t high);
    void add(char32_t c) { addRange(c, c); }
    /// A general category by its short name: L, Lu, Nd, P … Unknown names add nothing and give false.
    bool addCategory(std::string_view name, bool negated = false);
    void addNotWhiteSpace();  ///< \S
    /// Unicode's White_Space, which is what \s means.
    void addWhiteSpace();
    /// Letters, marks, decimal and letter numbers, connectors: what \w means.
    void addWord();
    /// Adds another set; neither may be negated yet.
    void unite(const UnicodeClass& other);
    void negate();

    bool contains(char32_t c) const { return c < 128 ? ascii_[c] : containsWide(c); }
    bool containsAscii(unsigned char c) const { return ascii_[c]; }
    /// True where nothing above U+007F is in the set, so far as that is easy to see.
    bool asciiOnly() const;

    bool operator==(const UnicodeClass& other) const {
        return negated_ == other.negated_ && categories_ == other.categories_ && ranges_ == other.ranges_ &&
               ascii_ == other.ascii_;
    }

  private:
    bool containsWide(char32_t c) const;

    std::bitset<128> ascii_;
    uint32_t categories_ = 0;  // one bit for each category, for code points above U+007F
    std::vector<std::pair<char32_t, char32_t>> ranges_;  // sorted, apart, above U+007F
    bool negated_ = false;
};

}  // namespace conclave::engine::text
