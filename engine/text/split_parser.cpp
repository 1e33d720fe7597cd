#include <algorithm>
#include <limits>

#include "engine/base/utf8.h"
#include "engine/text/split_pattern.h"

namespace conclave::engine::text {
namespace {

constexpr size_t kAlternatives = 64, kItems = 32, kDepth = 8;
constexpr uint32_t kUnbounded = std::numeric_limits<uint32_t>::max(), kMostRepeats = 1000;

bool isAsciiLetter(char32_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool isAsciiPunctuation(char32_t c) {
    return (c >= 0x21 && c <= 0x2F) || (c >= 0x3A && c <= 0x40) || (c >= 0x5B && c <= 0x60) ||
           (c >= 0x7B && c <= 0x7E);
}

}  // namespace

/// Reads a pattern by recursive descent. A group at the head of an alternative is multiplied out, (a|b)c to
/// ac|bc; behind other items it becomes a branch into what may follow, x(a|b)?c to x and then ac, bc or c:
/// both keep the order in which a backtracking engine tries them. Every function gives false or nothing at
/// the first thing that is not of the shape; the caller then takes the general engine, so that being strict
/// here costs speed and never a wrong split.
class SplitParser {
  public:
    explicit SplitParser(std::string_view pattern) : rest_(pattern) {}

    std::optional<SplitPattern> parse() {
        if (!base::isValidUtf8(rest_)) return std::nullopt;
        auto alternatives = parseAlternatives(false, 0);
        if (!alternatives || !rest_.empty()) return std::nullopt;
        for (const Sequence& items : *alternatives)
            if (items.empty()) return std::nullopt;
        out_.alternatives_ = std::move(*alternatives);
        out_.indexFirstCharacters();
        return std::move(out_);
    }

  private:
    using Item = SplitPattern::Item;
    using Kind = SplitPattern::Kind;
    using Sequence = SplitPattern::Sequence;
    using Alternatives = std::vector<Sequence>;

    bool take(std::string_view expected) {
        if (rest_.substr(0, expected.size()) != expected) return false;
        rest_.remove_prefix(expected.size());
        return true;
    }
    char32_t takeCharacter() {
        size_t at = 0;
        const char32_t c = base::nextCodePoint(rest_, at);
        rest_.remove_prefix(at);
        return c;
    }

    std::optional<Alternatives> parseAlternatives(bool ignoreCase, size_t depth) {
        if (depth > kDepth) return std::nullopt;
        Alternatives all;
        do {
            auto one = parseSequence(ignoreCase, depth);
            if (!one) return std::nullopt;
            all.insert(all.end(), one->begin(), one->end());
            if (all.size() > kAlternatives) return std::nullopt;
        } while (take("|"));
        return all;
    }

    /// The ways one alternative can go: more than one only where it begins with a group.
    std::optional<Alternatives> parseSequence(bool ignoreCase, size_t depth) {
        std::vector<Alternatives> parts;  // a single item, or the alternatives of a group
        std::vector<bool> isGroup;
        while (!rest_.empty() && rest_.front() != '|' && rest_.front() != ')') {
            std::optional<Alternatives> part;
            const bool lookahead = rest_.substr(0, 3) == "(?=" || rest_.substr(0, 3) == "(?!";
            isGroup.push_back(!lookahead && rest_.front() == '(');
            if (lookahead)
                part = parseLookahead(ignoreCase);
            else if (isGroup.back())
                part = parseGroup(ignoreCase, depth);
            else if (take("$"))
                part = Alternatives{{Item{.kind = Kind::LineEnd}}};
            else
                part = parseRun(ignoreCase);
            if (!part || parts.size() == kItems) return std::nullopt;
            parts.push_back(std::move(*part));
        }
        Sequence tail;
        for (size_t i = parts.size(); i-- > 0;) {
            if (!isGroup[i]) {
                tail.insert(tail.begin(), parts[i].front().begin(), parts[i].front().end());
                continue;
            }
            for (Sequence& way : parts[i])
                if (!append(way, tail)) return std::nullopt;
            if (i == 0) return std::move(parts[i]);
            if (out_.branches_.size() == kAlternatives) return std::nullopt;
            tail = {Item{.kind = Kind::Branch, .charClass = static_cast<uint16_t>(out_.branches_.size())}};
            out_.branches_.push_back(std::move(parts[i]));
        }
        return Alternatives{std::move(tail)};
    }

    /// A branch goes to the end of the pattern, so that nothing can be put behind one.
    static bool append(Sequence& way, const Sequence& tail) {
        if (!tail.empty() && !way.empty() && way.back().kind == Kind::Branch) return false;
        way.insert(way.end(), tail.begin(), tail.end());
        return way.size() <= kItems;
    }

    std::optional<Alternatives> parseLookahead(bool ignoreCase) {
        const Kind kind = rest_[2] == '=' ? Kind::Ahead : Kind::NotAhead;
        rest_.remove_prefix(3);
        const auto charClass = parseClass(ignoreCase);
        if (!charClass || !take(")") || nextIsQuantifier()) return std::nullopt;
        return Alternatives{{Item{.kind = kind, .charClass = *charClass}}};
    }

    std::optional<Alternatives> parseGroup(bool ignoreCase, size_t depth) {
        if (take("(?i:"))
            ignoreCase = true;
        else if (!take("(?:") && (rest_.substr(0, 2) == "(?" || !take("(")))
            return std::nullopt;
        auto inner = parseAlternatives(ignoreCase, depth + 1);
        if (!inner || !take(")")) return std::nullopt;
        if (take("?")) inner->emplace_back();
        if (nextIsQuantifier()) return std::nullopt;
        return inner;
    }

    bool nextIsQuantifier() const {
        return !rest_.empty() &&
               (rest_.front() == '?' || rest_.front() == '*' || rest_.front() == '+' || rest_.front() == '{');
    }

    std::optional<Alternatives> parseRun(bool ignoreCase) {
        const auto charClass = parseClass(ignoreCase);
        if (!charClass) return std::nullopt;
        Item item{.charClass = *charClass};
        bool counted = false;
        if (take("?")) {
            item.least = 0;
        } else if (take("*")) {
            item.least = 0;
            item.most = kUnbounded;
        } else if (take("+")) {
            item.most = kUnbounded;
        } else if (take("{")) {
            counted = true;
            if (!parseCounts(item)) return std::nullopt;
        }
        // x{1,3}+ is possessive in one dialect and a repeated group in the other.
        const bool quantified = item.least != 1 || item.most != 1;
        if (quantified && !counted && take("+")) item.possessive = true;
        if (nextIsQuantifier()) return std::nullopt;
        return Alternatives{{item}};
    }

    std::optional<uint32_t> parseNumber() {
        uint32_t number = 0;
        size_t digits = 0;
        for (;
             digits < rest_.size() && rest_[digits] >= '0' && rest_[digits] <= '9' && number <= kMostRepeats;
             ++digits)
            number = number * 10 + static_cast<uint32_t>(rest_[digits] - '0');
        rest_.remove_prefix(digits);
        if (digits == 0 || number > kMostRepeats) return std::nullopt;
        return number;
    }

    bool parseCounts(Item& item) {
        const auto least = parseNumber();
        if (!least) return false;
        item.least = item.most = *least;
        if (take(",")) {
            item.most = kUnbounded;
            if (!rest_.empty() && rest_.front() != '}') {
                const auto most = parseNumber();
                if (!most || *most < *least) return false;
                item.most = *most;
            }
        }
        return item.most > 0 && take("}");
    }

    /// One character, escape, dot or [class], as the index of its set.
    std::optional<uint16_t> parseClass(bool ignoreCase) {
        if (rest_.empty()) return std::nullopt;
        UnicodeClass set;
        if (take("[")) {
            if (ignoreCase && !bracketHasNoLetters()) return std::nullopt;
            if (!parseBracket(set, ignoreCase)) return std::nullopt;
        } else if (take(".")) {
            set.add('\n');
            set.negate();
        } else if (rest_.front() == '\\') {
            if (take("\\W")) {
                set.addWord();
                set.negate();
            } else if (const auto c = parseEscape(set)) {
                if (*c != kIsSet && !addLiteral(set, *c, ignoreCase)) return std::nullopt;
            } else {
                return std::nullopt;
            }
        } else {
            constexpr std::string_view kSpecial = "^*+?{}()|]";
            if (kSpecial.find(rest_.front()) != std::string_view::npos) return std::nullopt;
            if (!addLiteral(set, takeCharacter(), ignoreCase)) return std::nullopt;
        }
        for (size_t i = 0; i < out_.classes_.size(); ++i)
            if (out_.classes_[i] == set) return static_cast<uint16_t>(i);
        out_.classes_.push_back(std::move(set));
        return static_cast<uint16_t>(out_.classes_.size() - 1);
    }

    bool bracketHasNoLetters() const {
        // [sdmt] and the like are folded letter by letter; a range or a category of letters would need full
        // folding.
        const std::string_view inside = rest_.substr(0, rest_.find(']'));
        return inside.find('-') == std::string_view::npos && inside.find('\\') == std::string_view::npos &&
               inside.find('^') == std::string_view::npos;
    }

    static bool addLiteral(UnicodeClass& set, char32_t c, bool ignoreCase) {
        set.add(c);
        if (!ignoreCase) return true;
        if (c >= 0x80) return false;
        if (!isAsciiLetter(c)) return true;
        set.add(c ^ 0x20);
        // The two ASCII letters that have a partner outside ASCII in Unicode's simple case folding.
        if ((c | 0x20) == 's') set.add(0x017F);
        if ((c | 0x20) == 'k') set.add(0x212A);
        return true;
    }

    // parseEscape's answer where the escape added a whole set.
    static constexpr char32_t kIsSet = 0xFFFFFFFF;

    /// A backslash and what it stands for: a character, or kIsSet with the set added.
    std::optional<char32_t> parseEscape(UnicodeClass& set) {
        if (rest_.size() < 2) return std::nullopt;
        rest_.remove_prefix(1);
        const char32_t c = takeCharacter();
        switch (c) {
        case 'n':
            return U'\n';
        case 'r':
            return U'\r';
        case 't':
            return U'\t';
        case 'f':
            return U'\f';
        case 's':
            set.addWhiteSpace();
            return kIsSet;
        case 'S':
            set.addNotWhiteSpace();
            return kIsSet;
        case 'd':
            set.addCategory("Nd");
            return kIsSet;
        case 'D':
            set.addCategory("Nd", true);
            return kIsSet;
        case 'w':
            set.addWord();
            return kIsSet;
        case 'p':
        case 'P': {
            if (!take("{")) return std::nullopt;
            const size_t close = rest_.find('}');
            if (close == std::string_view::npos || !set.addCategory(rest_.substr(0, close), c == 'P'))
                return std::nullopt;
            rest_.remove_prefix(close + 1);
            return kIsSet;
        }
        default:
            if (!isAsciiPunctuation(c)) return std::nullopt;
            return c;
        }
    }

    bool parseBracket(UnicodeClass& set, bool ignoreCase) {
        const bool negated = take("^");
        bool first = true;
        for (; !rest_.empty() && rest_.front() != ']'; first = false) {
            // Nested classes and intersections are Oniguruma's own.
            if (rest_.front() == '[' || rest_.substr(0, 2) == "&&") return false;
            UnicodeClass part;
            const auto low = rest_.front() == '\\' ? parseEscape(part) : std::optional(takeCharacter());
            if (!low) return false;
            if (*low == kIsSet) {
                set.unite(part);
                continue;
            }
            const bool range = rest_.size() >= 2 && rest_.front() == '-' && rest_[1] != ']';
            if (!range) {
                if (!addLiteral(set, *low, ignoreCase)) return false;
                continue;
            }
            rest_.remove_prefix(1);
            if (rest_.front() == '[') return false;
            const auto high = rest_.front() == '\\' ? parseEscape(part) : std::optional(takeCharacter());
            if (!high || *high == kIsSet || *high < *low) return false;
            set.addRange(*low, *high);
        }
        if (first || !take("]")) return false;
        if (negated) set.negate();
        return true;
    }

    std::string_view rest_;
    SplitPattern out_;
};

std::optional<SplitPattern> SplitPattern::parse(std::string_view pattern) {
    return SplitParser(pattern).parse();
}

}  // namespace conclave::engine::text
