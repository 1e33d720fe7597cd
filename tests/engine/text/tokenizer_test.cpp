// What belongs to whom: trusted and untrusted text, added tokens with their flags, BOS, and the way back.
#include "engine/text/tokenizer.h"

#include <gtest/gtest.h>

#include <random>

#include "engine/base/utf8.h"
#include "tests/engine/text/merge_texts.h"

namespace conclave::engine::text {
namespace {

using base::TokenId;
using formats::TokenKind;

/// Bytes 0–255, then what each test adds.
struct Maker {
    formats::TokenizerSpec spec;
    StatedMerges merges;

    Maker() {
        spec.file = "test";
        spec.addSpacePrefix = false;
        for (unsigned b = 0; b < 256; ++b) {
            std::string text;
            base::appendUtf8(text, formats::byteToAlphabet(static_cast<unsigned char>(b)));
            spec.tokens.push_back(text);
            spec.kinds.push_back(TokenKind::Normal);
        }
        spec.preTokenizers = *formats::ggufPreSteps("gpt-2");
    }
    int merge(const std::string& left, const std::string& right) {
        merges.emplace_back(left, right);
        spec.tokens.push_back(left + right);
        spec.kinds.push_back(TokenKind::Normal);
        return static_cast<int>(spec.tokens.size()) - 1;
    }
    int add(formats::AddedToken token) {
        token.id = TokenId{static_cast<int32_t>(spec.tokens.size())};
        spec.tokens.push_back(token.content);
        spec.kinds.push_back(token.special ? TokenKind::Control : TokenKind::UserDefined);
        spec.added.push_back(token);
        return base::toInt(token.id);
    }
    int control(const std::string& text) {
        formats::AddedToken token;
        token.content = text;
        token.special = true;
        return add(token);
    }
    int user(const std::string& text) {
        formats::AddedToken token;
        token.content = text;
        return add(token);
    }
    Tokenizer make() {
        const auto checked = formats::checkTokenizer(spec, textsOf(merges), {"tokens", "merges", "added"});
        EXPECT_TRUE(checked.ok()) << base::render(checked.error());
        auto made = Tokenizer::make(spec);
        EXPECT_TRUE(made.ok()) << base::render(made.error());
        return std::move(made).value();
    }
};

std::vector<int> ints(const base::Result<std::vector<TokenId>>& ids) {
    EXPECT_TRUE(ids.ok());
    std::vector<int> out;
    for (const TokenId id : *ids)
        out.push_back(base::toInt(id));
    return out;
}

std::vector<int> encode(const Tokenizer& tokenizer, const std::vector<TextSpan>& spans,
                        AddBos addBos = AddBos::No) {
    return ints(tokenizer.encode(spans, addBos));
}

TEST(Tokenizer, ControlTokensAreMatchedInTrustedTextOnly) {
    Maker maker;
    const int end = maker.control("<|end|>");
    const int tool = maker.user("[tool]");
    const Tokenizer tokenizer = maker.make();
    EXPECT_EQ(encode(tokenizer, {{"<|end|>", true}}), std::vector{end});
    EXPECT_EQ(encode(tokenizer, {{"<|end|>", false}}).size(), 7u);
    EXPECT_EQ(encode(tokenizer, {{"[tool]", false}, {"[tool]", true}}), (std::vector{tool, tool}));
    // A control token must lie whole in trusted text, whichever part the user gave.
    EXPECT_EQ(encode(tokenizer, {{"<|e", true}, {"nd|>", false}}).size(), 7u);
    EXPECT_EQ(encode(tokenizer, {{"<|e", false}, {"nd|>", true}}).size(), 7u);
    EXPECT_EQ(encode(tokenizer, {{"<|e", true}, {"", false}, {"nd|>", true}}), std::vector{end});
    EXPECT_EQ(encode(tokenizer, {{"<|e", true}, {"n", false}, {"d|>", true}}).size(), 7u);
    // A user-defined token may cross a border.
    EXPECT_EQ(encode(tokenizer, {{"[to", true}, {"ol]", false}}), std::vector{tool});
}

TEST(Tokenizer, NoWordsOfAUserBecomeAControlToken) {
    Maker maker;
    const std::vector<std::string> controls = {
        "<|im_start|>", "<|im_end|>", "<s>", "</s>", "<｜User｜>", "<｜end▁of▁sentence｜>", "[INST]"};
    std::vector<int> ids;
    for (const std::string& text : controls)
        ids.push_back(maker.control(text));
    const Tokenizer tokenizer = maker.make();
    std::mt19937 random(4);
    for (int round = 0; round < 2000; ++round) {
        std::vector<TextSpan> spans;
        std::vector<int> wanted;
        for (size_t i = 1 + random() % 6; i > 0; --i) {
            const size_t which = random() % controls.size();
            const size_t cut = random() % (controls[which].size() + 1);
            if (random() % 2) {
                spans.push_back({controls[which].substr(0, cut), false});
                spans.push_back({controls[which].substr(cut), false});
            } else {
                // A border of trust keeps what came before from becoming part of the token.
                spans.push_back({" ", false});
                spans.push_back({controls[which], true});
                spans.push_back({" ", false});
                wanted.push_back(ids[which]);
            }
        }
        std::vector<int> found;
        std::string bytes, text;
        for (const TextSpan& span : spans)
            text += span.text;
        if (!base::isValidUtf8(text)) continue;
        for (const int id : encode(tokenizer, spans)) {
            if (tokenizer.isControl(TokenId{id})) found.push_back(id);
            bytes += tokenizer.bytes(TokenId{id});
        }
        ASSERT_EQ(found, wanted);
        ASSERT_EQ(bytes, text);
    }
}

TEST(Tokenizer, BordersOfSpansCutNoMergeAndNoWord) {
    Maker maker;
    maker.control("<|end|>");
    maker.merge("a", "b");
    maker.merge("ab", "c");
    maker.merge("\xC4\xA0", "abc");  // the alphabet's space
    const Tokenizer tokenizer = maker.make();
    const std::string text = "x abc <|end|>abc";
    std::mt19937 random(9);
    const std::vector<int> whole = encode(tokenizer, {{text, false}});
    for (int round = 0; round < 300; ++round) {
        std::vector<TextSpan> spans;
        for (size_t at = 0; at < text.size();) {
            const size_t length = 1 + random() % 5;
            spans.push_back({text.substr(at, length), false});
            at += length;
        }
        ASSERT_EQ(encode(tokenizer, spans), whole);
    }
    EXPECT_EQ(encode(tokenizer, {{"x a", true}, {"bc", false}}), encode(tokenizer, {{"x abc", false}}));
}

TEST(Tokenizer, BosComesOnce) {
    Maker maker;
    const int bos = maker.control("<s>");
    maker.spec.bos = TokenId{bos};
    maker.spec.addBos = true;
    const Tokenizer tokenizer = maker.make();
    EXPECT_EQ(ints(tokenizer.encode("a", true, AddBos::IfWanted)), (std::vector{bos, 'a' - 0}));
    EXPECT_EQ(ints(tokenizer.encode("<s>a", true, AddBos::IfWanted)), (std::vector{bos, 'a' - 0}));
    EXPECT_EQ(ints(tokenizer.encode("<s>a", false, AddBos::IfWanted)).size(), 5u);  // the user's <s> is text
    EXPECT_EQ(ints(tokenizer.encode("a", true, AddBos::No)), (std::vector{'a' - 0}));
    EXPECT_EQ(ints(tokenizer.encode("", true, AddBos::IfWanted)), (std::vector{bos}));
    maker.spec.addBos = false;
    EXPECT_EQ(ints(maker.make().encode("a", true, AddBos::IfWanted)), (std::vector{'a' - 0}));
}

TEST(Tokenizer, EndTokensAreControlWhateverTheFileSays) {
    Maker maker;
    const int eos = maker.user("<eos>");
    maker.spec.eos = TokenId{eos};
    const Tokenizer tokenizer = maker.make();
    EXPECT_TRUE(tokenizer.isControl(TokenId{eos}));
    EXPECT_EQ(encode(tokenizer, {{"<eos>", false}}).size(), 5u);
}

TEST(Tokenizer, InvalidTextAndIdsAreErrors) {
    const Tokenizer tokenizer = Maker().make();
    for (const char* text : {"\xFF", "a\xC3", "\xED\xA0\x80", "\xC0\x80", "\xF5\x80\x80\x80"}) {
        const auto ids = tokenizer.encode(text, false, AddBos::No);
        ASSERT_FALSE(ids.ok());
        EXPECT_EQ(ids.error().code, base::Code::InvalidUtf8);
    }
    for (const int id : {-1, 256, 1 << 30}) {
        const std::vector<TokenId> ids{TokenId{id}};
        const auto text = tokenizer.decode(ids, true);
        ASSERT_FALSE(text.ok());
        EXPECT_EQ(text.error().code, base::Code::TokenOutOfRange);
    }
    // Characters that are odd but valid come back as they were.
    const std::string odd("\0\xEF\xBF\xBE\xEF\xBF\xBD\xF4\x8F\xBF\xBF", 11);
    EXPECT_EQ(*tokenizer.decode(*tokenizer.encode(odd, false, AddBos::No), false), odd);
}

TEST(Tokenizer, AddedTokenFlags) {
    Maker maker;
    formats::AddedToken token;
    token.content = "<l>";
    token.leftStrip = true;
    const int left = maker.add(token);
    token = {};
    token.content = "<r>";
    token.rightStrip = true;
    const int right = maker.add(token);
    token = {};
    token.content = "one";
    token.singleWord = true;
    const int word = maker.add(token);
    const int shorter = maker.user("[a");
    const int longer = maker.user("[a]");
    const Tokenizer tokenizer = maker.make();
    EXPECT_EQ(encode(tokenizer, {{"x \n<l> y", false}}), (std::vector<int>{'x', left, ' ', 'y'}));
    EXPECT_EQ(encode(tokenizer, {{"x <r> \xE3\x80\x80y", false}}), (std::vector<int>{'x', ' ', right, 'y'}));
    EXPECT_EQ(encode(tokenizer, {{"one", false}}), std::vector<int>{word});
    EXPECT_EQ(encode(tokenizer, {{"one.one", false}}), (std::vector<int>{word, '.', word}));
    EXPECT_EQ(encode(tokenizer, {{"ones", false}}).size(), 4u);
    EXPECT_EQ(encode(tokenizer, {{"éone", false}}).size(), 5u);
    EXPECT_EQ(encode(tokenizer, {{"[a][a", false}}), (std::vector<int>{longer, shorter}));
}

TEST(Tokenizer, WhenTheLongestMatchIsNotTrustedAShorterOneCounts) {
    Maker maker;
    const int user = maker.user("<a");
    const int control = maker.control("<a>");
    const Tokenizer tokenizer = maker.make();
    EXPECT_EQ(encode(tokenizer, {{"<a>", true}}), std::vector{control});
    EXPECT_EQ(encode(tokenizer, {{"<a>", false}}), (std::vector<int>{user, '>'}));
}

TEST(Tokenizer, DecodeGivesTheTextBack) {
    Maker maker;
    maker.merge("\xC3\x83", "\xC2\xA9");  // é
    const int control = maker.control("<s>");
    const Tokenizer tokenizer = maker.make();
    std::mt19937 random(1);
    for (int round = 0; round < 1000; ++round) {
        std::string text;
        for (size_t i = random() % 40; i > 0; --i)
            base::appendUtf8(text, static_cast<char32_t>(random() % 4 ? 0x20 + random() % 0x300
                                                                      : 0x1F300 + random() % 0x200));
        const auto ids = tokenizer.encode(text, false, AddBos::No);
        ASSERT_EQ(*tokenizer.decode(*ids, false), text);
    }
    const std::vector<TokenId> ids{TokenId{control}, TokenId{'a'}, TokenId{0xC3}};
    EXPECT_EQ(*tokenizer.decode(ids, true), "<s>a\xEF\xBF\xBD");
    EXPECT_EQ(*tokenizer.decode(ids, false), "a\xEF\xBF\xBD");
}

TEST(Tokenizer, UnknownPatternsAndStepsAreRefused) {
    Maker maker;
    maker.spec.preTokenizers = {formats::SplitStep{.pattern = "(a"}};
    const auto made = Tokenizer::make(maker.spec);
    ASSERT_FALSE(made.ok());
    EXPECT_EQ(made.error().code, base::Code::UnsupportedTokenizer);
    maker.spec.preTokenizers = {formats::ByteLevelStep{}, formats::MetaspaceStep{}};
    EXPECT_FALSE(Tokenizer::make(maker.spec).ok());
    maker.spec.preTokenizers.assign(40, formats::DigitsStep{});
    EXPECT_EQ(Tokenizer::make(maker.spec).error().code, base::Code::LimitExceeded);
}

}  // namespace
}  // namespace conclave::engine::text
