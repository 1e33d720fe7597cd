#include "engine/text/split_pattern.h"

#include <gtest/gtest.h>

#include <random>

#include "engine/base/utf8.h"
#include "engine/formats/tokenizer_spec.h"
#include "engine/text/budget_regex.h"
#include "engine/text/pre_tokenizer.h"
#include "engine/text/text_search.h"

namespace conclave::engine::text {
namespace {

template <class Matcher, class Scan>
std::vector<std::pair<size_t, size_t>> allMatches(const Matcher& matcher, Scan scan,
                                                  const std::string& text) {
    std::vector<std::pair<size_t, size_t>> out;
    scan.begin(text);
    for (size_t at = 0; at < text.size();) {
        Match match;
        const Search found = matcher.find(scan, at, match);
        EXPECT_NE(found, Search::TooLong);
        if (found != Search::Found) break;
        out.emplace_back(match.begin, match.end);
        at = match.end;
        if (match.end == match.begin) base::nextCodePoint(text, at);
    }
    return out;
}

void expectSame(const std::string& pattern, const std::string& text) {
    const auto shape = SplitPattern::parse(pattern);
    ASSERT_TRUE(shape.has_value()) << pattern;
    const auto regex = BudgetRegex::compile(pattern, "test");
    ASSERT_TRUE(regex.ok()) << pattern;
    ASSERT_EQ(allMatches(*shape, shape->scratch(), text), allMatches(*regex, BudgetRegex::Scan(*regex), text))
        << pattern << " on " << text;
}

std::string randomText(std::mt19937& random, const std::vector<std::string>& bits) {
    std::string text;
    const size_t length = random() % 24;
    for (size_t i = 0; i < length; ++i)
        text += bits[random() % bits.size()];
    return text;
}

/// A random pattern of the shape, of small classes over few letters, so that alternatives compete.
std::string randomPattern(std::mt19937& random, int depth) {
    const std::vector<std::string> atoms = {"a", "b", "[ab]",   "[^a]",         "\\s", "[\\sb]",
                                            "c", ".", "\\p{L}", "[^\\s\\p{L}]", "é"};
    const std::vector<std::string> counts = {"", "", "?", "*", "+", "{2}", "{1,3}", "{2,}", "?+", "*+", "++"};
    std::string out;
    const size_t alternatives = 1 + random() % 3;
    for (size_t i = 0; i < alternatives; ++i) {
        if (i) out += "|";
        const size_t items = 1 + random() % 4;
        for (size_t k = 0; k < items; ++k) {
            const auto kind = random() % 12;
            if (kind == 0 && depth == 0 && k + 1 < items)
                out += "(?:" + randomPattern(random, 1) + ")" + (random() % 2 ? "?" : "");
            else if (kind == 1)
                out += random() % 2 ? "(?!\\S)" : "(?=[ab])";
            else
                out += atoms[random() % atoms.size()] + counts[random() % counts.size()];
        }
        if (random() % 10 == 0 && depth == 0) out += "$";
    }
    return out;
}

TEST(SplitPattern, MatchesWhatABacktrackingEngineMatches) {
    std::mt19937 random(11);
    const std::vector<std::string> bits = {"a", "a", "b", "c", " ", "\n", "é", "1"};
    size_t compared = 0;
    for (int round = 0; round < 6000; ++round) {
        const std::string pattern = randomPattern(random, 0);
        if (!SplitPattern::parse(pattern) || !BudgetRegex::compile(pattern, "test").ok()) continue;
        ++compared;
        for (int i = 0; i < 6; ++i) {
            expectSame(pattern, randomText(random, bits));
            if (HasFatalFailure()) return;
        }
    }
    EXPECT_GT(compared, 3000u);
}

TEST(SplitPattern, KnownPatternsAgreeWithPcre) {
    std::mt19937 random(3);
    const std::vector<std::string> bits = {"a",   "B",  "é",  "中",   "の", "1",        "٣",
                                           " ",   "  ", "\n", "\r\n", "\t", "'",        "'s",
                                           "'LL", ".",  "$",  "/",    "😀",  "\xCC\x81", "\xE3\x80\x80",
                                           "ǅ",   "ʰ",  "-",  "_"};
    for (const std::string& name : formats::ggufPreNames()) {
        const auto steps = formats::ggufPreSteps(name);
        for (const auto& step : *steps) {
            const auto* split = std::get_if<formats::SplitStep>(&step);
            if (!split) continue;
            EXPECT_TRUE(SplitPattern::parse(split->pattern).has_value()) << name << ": " << split->pattern;
            for (int i = 0; i < 30; ++i) {
                expectSame(split->pattern, randomText(random, bits));
                if (HasFatalFailure()) return;
            }
        }
    }
}

TEST(SplitPattern, OtherShapesAreLeftToTheGeneralEngine) {
    for (const char* pattern :
         {"(a+)+",    "(a|b)*", "a+?", "\\ba", "(?<=a)b", "[[:alpha:]]", "[a&&b]", "a{1,2}+",
          "(?<n>a)",  "\\1",    "a|",  "",     "^a",      "(?s:.)",      "[z-a]",  "a{5,2}",
          "\\p{Han}", "[]",     "a**", "\\h",  "(",       "[a",          "\\"})
        EXPECT_FALSE(SplitPattern::parse(pattern).has_value()) << pattern;
}

TEST(BudgetRegex, SyntaxThatDialectsDisagreeAboutIsRefused) {
    for (const char* pattern :
         {"\\h+", "[a-z&&[^b]]", "[[a]b]", "a{1,2}+", "(*ACCEPT)a", "\\Ka", "(a", "[z-a]"}) {
        const auto compiled = BudgetRegex::compile(pattern, "t.json");
        ASSERT_FALSE(compiled.ok()) << pattern;
        EXPECT_EQ(compiled.error().code, base::Code::UnsupportedTokenizer) << pattern;
    }
}

TEST(BudgetRegex, HostilePatternsEndInAnErrorSoon) {
    const std::string text = std::string(30000, 'a') + "!";
    for (const char* pattern :
         {"(a+)+$", "(a|aa)+$", "(.*)*b", "(?:a?){40}a{40}b", "(\\p{L}+)*\\p{N}", "(?=(a+))a*b\\b"}) {
        const auto pre = PreTokenizer::make({formats::SplitStep{.pattern = pattern}}, "t.json");
        ASSERT_TRUE(pre.ok()) << pattern;
        const auto begin = std::chrono::steady_clock::now();
        const auto done = pre->split(text, true, [](std::string_view) {});
        const double seconds =
            std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
        EXPECT_LT(seconds, 10.0) << pattern;
        if (done.ok()) continue;  // some of these are quick with PCRE2's own optimisations
        EXPECT_EQ(done.error().code, base::Code::UnsupportedTokenizer);
        EXPECT_NE(base::render(done.error()).find("takes too long"), std::string::npos);
    }
    const auto worst = PreTokenizer::make({formats::SplitStep{.pattern = "(a+)+$"}}, "t.json");
    EXPECT_FALSE(worst->split(text, true, [](std::string_view) {}).ok());
}

TEST(SplitPattern, QuadraticPatternsOfTheShapeEndInAnErrorOrAreLinear) {
    std::string text(200000, ' ');
    for (const char* pattern : {"\\s*[\\r\\n]+", "\\s+$", "\\s?\\s+x", "\\s*\\s*\\s*x", "[ab]?\\s+y"}) {
        const auto search = TextSearch::compile(pattern, true, "t.json");
        ASSERT_TRUE(search.ok());
        auto scan = search->scratch();
        const std::string subject = text + "!";
        scan.begin(subject);
        Match match;
        const auto begin = std::chrono::steady_clock::now();
        EXPECT_NE(search->find(scan, 0, match), Search::Found) << pattern;
        EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(), 5.0)
            << pattern;
    }
}

}  // namespace
}  // namespace conclave::engine::text
