#include "engine/formats/text_index.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <unordered_map>

namespace conclave::engine::formats {
namespace {

constexpr HashKey kZero{};

std::string number(size_t i) {
    return "t" + std::to_string(i);
}

TEST(HashKey, HashIsSipHash) {
    // What CPython 3.11, whose hash of bytes is SipHash-1-3, says with PYTHONHASHSEED=0, a key of zeros.
    EXPECT_EQ(hashOf("a", kZero), 0x407448d2b89b1813U);
    EXPECT_EQ(hashOf("abc", kZero), 0xc03bc3a0042630f2U);
    EXPECT_EQ(hashOf("abcdefgh", kZero), 0x3f7b849c0b8e35eaU);
    EXPECT_EQ(hashOf("abcdefghijklmno", kZero), 0x1fd27a29b0e9dc7aU);
}

TEST(HashKey, ProcessHasOneKeyThatIsNotZero) {
    const HashKey key = processHashKey(), again = processHashKey();
    EXPECT_EQ(key.first, again.first);
    EXPECT_EQ(key.second, again.second);
    EXPECT_TRUE(key.first != 0 || key.second != 0);
    EXPECT_NE(hashOf("a", key), hashOf("a", kZero));
}

TEST(TextIndex, OfNothingFindsNothing) {
    const TextIndex index;
    EXPECT_TRUE(index.empty());
    EXPECT_EQ(index.find({}, ""), TextIndex::kNone);
    EXPECT_EQ(index.find({}, "a"), TextIndex::kNone);
}

TEST(TextIndex, OfDuplicatesTheFirstStays) {
    const TextList texts{"a", "b", "a", "", ""};
    TextIndex index(texts.size());
    EXPECT_TRUE(index.add(texts, 0));
    EXPECT_TRUE(index.add(texts, 1));
    EXPECT_FALSE(index.add(texts, 2));
    EXPECT_TRUE(index.add(texts, 3));
    EXPECT_FALSE(index.add(texts, 4));
    EXPECT_EQ(index.find(texts, "a"), 0u);
    EXPECT_EQ(index.find(texts, "b"), 1u);
    EXPECT_EQ(index.find(texts, ""), 3u);
    EXPECT_EQ(index.find(texts, "c"), TextIndex::kNone);
}

TEST(TextIndex, FullToTheLastPlaceFindsAllAndNothingElse) {
    for (const size_t most :
         {size_t{1}, size_t{2}, size_t{3}, size_t{4}, size_t{12}, size_t{3000}, size_t{49151}}) {
        TextList texts;
        TextIndex index(most);
        for (uint32_t i = 0; i < most; ++i) {
            texts.push_back(number(i));
            ASSERT_TRUE(index.add(texts, i));
        }
        for (uint32_t i = 0; i < most; ++i) {
            ASSERT_EQ(index.find(texts, number(i)), i);
            ASSERT_EQ(index.find(texts, number(most + i)), TextIndex::kNone);
        }
    }
}

TEST(TextIndexDeathTest, MoreThanItHasRoomForIsOurBug) {
    const TextList texts{"a", "b"};
    TextIndex index(1);
    EXPECT_TRUE(index.add(texts, 0));
    EXPECT_FALSE(index.add(texts, 0));
    EXPECT_DEATH(index.add(texts, 1), "check failed");
}

TEST(TextIndex, TextsThatBeginAtOneSlotAreKeptApart) {
    // Sixteen slots: the lowest four bits of the hash say where a search begins.
    TextList texts;
    TextIndex index(11, kZero);
    for (size_t i = 0; texts.size() < 11; ++i) {
        if (hashOf(number(i), kZero) % 16 != 15) continue;
        texts.push_back(number(i));
        ASSERT_TRUE(index.add(texts, static_cast<uint32_t>(texts.size() - 1)));
    }
    for (uint32_t i = 0; i < texts.size(); ++i)
        EXPECT_EQ(index.find(texts, texts[i]), i);
    for (size_t i = 0; i < 1000; ++i)
        if (std::find(texts.begin(), texts.end(), number(i)) == texts.end()) {
            EXPECT_EQ(index.find(texts, number(i)), TextIndex::kNone) << number(i);
        }
}

TEST(TextIndex, TextsWithOneTagAreKeptApart) {
    // Two texts that agree in the slot of an index of eleven and in the tag, the upper half of the hash.
    std::unordered_map<uint64_t, size_t> seen;
    size_t first = 0, second = 0;
    for (; first == second; ++second) {
        const uint64_t hash = hashOf(number(second), kZero);
        const auto [known, added] = seen.emplace(hash >> 32 << 32 | hash % 16, second);
        if (added) {
            first = second + 1;
            continue;
        }
        first = known->second;
        break;
    }
    const TextList texts{number(first), number(second)};
    ASSERT_NE(texts[0], texts[1]);
    TextIndex index(11, kZero);
    EXPECT_TRUE(index.add(texts, 0));
    EXPECT_EQ(index.find(texts, texts[1]), TextIndex::kNone);
    EXPECT_TRUE(index.add(texts, 1));
    EXPECT_EQ(index.find(texts, texts[0]), 0u);
    EXPECT_EQ(index.find(texts, texts[1]), 1u);
}

TEST(TextIndex, AgreesWithAMapOnRandomTexts) {
    std::mt19937 random(5);
    TextList texts;
    std::map<std::string, uint32_t, std::less<>> expected;
    TextIndex index(5000);
    const auto draw = [&] {
        std::string text(random() % 20, '\0');
        for (char& c : text)
            c = static_cast<char>(random() % 2);
        return text;
    };
    for (uint32_t i = 0; i < 5000; ++i) {
        texts.push_back(draw());
        ASSERT_EQ(index.add(texts, i), expected.emplace(texts[i], i).second);
    }
    for (int i = 0; i < 20000; ++i) {
        const std::string text = draw();
        const auto known = expected.find(text);
        ASSERT_EQ(index.find(texts, text), known == expected.end() ? TextIndex::kNone : known->second);
    }
}

}  // namespace
}  // namespace conclave::engine::formats
