#include "engine/text/bpe.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "engine/base/utf8.h"
#include "tests/engine/text/merge_texts.h"

namespace conclave::engine::text {
namespace {

using formats::TokenizerModel;
using formats::TokenizerSpec;
using formats::TokenKind;

/// The definition, word for word: of all pairs that may be joined the best, leftmost first, until none is
/// left.
std::vector<int> slowJoin(const TokenizerSpec& spec, const StatedMerges& merges, const std::string& text) {
    std::map<std::string, int> ids;
    for (size_t i = 0; i < spec.tokens.size(); ++i)
        ids.emplace(std::string(spec.tokens[i]), static_cast<int>(i));
    std::map<std::pair<std::string, std::string>, int> ranks;
    for (size_t i = 0; i < merges.size(); ++i)
        ranks.emplace(merges[i], static_cast<int>(i));
    std::vector<std::string> parts;
    for (size_t at = 0; at < text.size();) {
        const size_t from = at;
        base::nextCodePoint(text, at);
        parts.push_back(text.substr(from, at - from));
    }
    for (;;) {
        size_t best = parts.size();
        double bestValue = 0;
        for (size_t i = 0; i + 1 < parts.size(); ++i) {
            double value = 0;
            if (spec.model == TokenizerModel::ScoreBpe) {
                const auto joined = ids.find(parts[i] + parts[i + 1]);
                if (joined == ids.end()) continue;
                value = -static_cast<double>(spec.scores[static_cast<size_t>(joined->second)]);
            } else {
                const auto rank = ranks.find({parts[i], parts[i + 1]});
                if (rank == ranks.end()) continue;
                value = rank->second;
            }
            if (best != parts.size() && value >= bestValue) continue;
            best = i;
            bestValue = value;
        }
        if (best == parts.size()) break;
        parts[best] += parts[best + 1];
        parts.erase(parts.begin() + static_cast<ptrdiff_t>(best) + 1);
    }
    std::vector<int> out;
    for (const std::string& part : parts)
        out.push_back(ids.at(part));
    return out;
}

std::vector<int> join(const Bpe& bpe, const std::string& text) {
    Bpe::Scratch scratch;
    std::vector<base::TokenId> ids;
    bpe.encode(text, scratch, ids);
    std::vector<int> out;
    for (const auto id : ids)
        out.push_back(base::toInt(id));
    return out;
}

void addToken(TokenizerSpec& spec, const std::string& text) {
    spec.tokens.push_back(text);
    spec.kinds.push_back(TokenKind::Normal);
}

void addMerges(TokenizerSpec& spec, const StatedMerges& merges) {
    const auto checked = formats::checkTokenizer(spec, textsOf(merges), {"tokens", "merges", "added"});
    ASSERT_TRUE(checked.ok()) << base::render(checked.error());
}

/// Letters and random joins of what is there, in random order of preference.
TokenizerSpec randomSpec(std::mt19937& random, TokenizerModel model, StatedMerges& merges) {
    TokenizerSpec spec;
    spec.file = "random";
    spec.model = model;
    const size_t letters = 1 + random() % 5;
    for (size_t i = 0; i < letters; ++i)
        addToken(spec, std::string(1, static_cast<char>('a' + i)));
    const size_t joins = random() % 40;
    for (size_t i = 0; i < joins; ++i) {
        const std::string left(spec.tokens[random() % spec.tokens.size()]);
        const std::string right(spec.tokens[random() % spec.tokens.size()]);
        const std::string joined = left + right;
        if (joined.size() > 12) continue;
        const bool known = std::find(spec.tokens.begin(), spec.tokens.end(), joined) != spec.tokens.end();
        if (!known) addToken(spec, joined);
        if (model != TokenizerModel::ScoreBpe) merges.emplace_back(left, right);
    }
    std::shuffle(merges.begin(), merges.end(), random);
    for (size_t i = 0; i < spec.tokens.size(); ++i)  // few different scores, so that there are ties
        spec.scores.push_back(static_cast<float>(random() % 6));
    spec.unknown = base::TokenId{static_cast<int32_t>(spec.tokens.size())};
    spec.tokens.push_back("<unk>");
    spec.kinds.push_back(TokenKind::Unknown);
    spec.scores.push_back(0);
    addMerges(spec, merges);
    return spec;
}

TEST(Bpe, JoinsAsTheDefinitionSays) {
    std::mt19937 random(7);
    for (int round = 0; round < 1500; ++round) {
        const TokenizerModel models[] = {TokenizerModel::CharacterBpe, TokenizerModel::ScoreBpe,
                                         TokenizerModel::ByteLevelBpe};
        StatedMerges merges;
        const TokenizerSpec spec = randomSpec(random, models[round % 3], merges);
        const auto bpe = Bpe::make(spec);
        ASSERT_TRUE(bpe.ok());
        for (const size_t length : {size_t{1}, size_t{3}, size_t{20}, size_t{47}, size_t{49}, size_t{120}}) {
            std::string text;
            const size_t letters = 1 + random() % (spec.tokens.size() - 1);
            for (size_t i = 0; i < length; ++i) {
                const size_t which = random() % letters;
                text += spec.tokens[which].size() == 1 ? spec.tokens[which] : std::string_view("a");
            }
            ASSERT_EQ(join(*bpe, text), slowJoin(spec, merges, text)) << text;
        }
    }
}

TEST(Bpe, ControlTokensAreNeverTheResultOfJoining) {
    TokenizerSpec spec;
    spec.model = TokenizerModel::CharacterBpe;
    for (const char* text : {"<", "s", ">", "<s", "<s>", "?"})
        addToken(spec, text);
    spec.kinds[4] = TokenKind::Control;
    spec.kinds[5] = TokenKind::Unknown;
    spec.unknown = base::TokenId{5};
    addMerges(spec, {{"<", "s"}, {"<s", ">"}});
    spec.ignoreMerges = true;
    EXPECT_EQ(join(*Bpe::make(spec), "<s>"), (std::vector<int>{3, 2}));
    spec.model = TokenizerModel::ScoreBpe;
    spec.scores.assign(spec.tokens.size(), 0.0F);
    spec.ignoreMerges = false;
    EXPECT_EQ(join(*Bpe::make(spec), "<s>"), (std::vector<int>{3, 2}));
}

TEST(Bpe, UnknownCharactersFallBackToBytesOrFuse) {
    TokenizerSpec spec;
    spec.model = TokenizerModel::CharacterBpe;
    for (const char* text : {"<unk>", "a", "<0xC3>", "<0xA9>"})
        addToken(spec, text);
    spec.kinds = {TokenKind::Unknown, TokenKind::Normal, TokenKind::Byte, TokenKind::Byte};
    spec.unknown = base::TokenId{0};
    spec.byteFallback = true;
    EXPECT_EQ(join(*Bpe::make(spec), "aéa"), (std::vector<int>{1, 2, 3, 1}));
    EXPECT_EQ(join(*Bpe::make(spec), "aßßa"), (std::vector<int>{1, 0, 0, 1}));  // <0x9F> is missing
    spec.fuseUnknown = true;
    EXPECT_EQ(join(*Bpe::make(spec), "aßßa"), (std::vector<int>{1, 0, 1}));
}

TEST(Bpe, ScoresJoinCharactersThatAreNoTokensThemselves) {
    TokenizerSpec spec;
    spec.model = TokenizerModel::ScoreBpe;
    for (const char* text : {"<unk>", "a", "éa"})
        addToken(spec, text);
    spec.kinds[0] = TokenKind::Unknown;
    spec.scores = {0, 0, 0};
    spec.unknown = base::TokenId{0};
    EXPECT_EQ(join(*Bpe::make(spec), "éaé"), (std::vector<int>{2, 0}));
}

}  // namespace
}  // namespace conclave::engine::text
