#include "engine/base/utf8.h"

#include <gtest/gtest.h>
#include <random>

namespace conclave::engine::base {
namespace {

TEST(Utf8, AcceptsEveryScalarValueAndNothingElse) {
    for (char32_t c = 0; c <= 0x10FFFF; c += (c < 0x3000 ? 1 : 257)) {
        if (c >= 0xD800 && c <= 0xDFFF) continue;
        std::string text;
        appendUtf8(text, c);
        ASSERT_TRUE(isValidUtf8(text)) << static_cast<uint32_t>(c);
        size_t at = 0;
        ASSERT_EQ(nextCodePoint(text, at), c);
        ASSERT_EQ(at, text.size());
    }
    for (const char* bad : {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xED\xA0\x80",
                            "\xF0\x80\x80\x80", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xE4\xB8"})
        EXPECT_EQ(validUtf8Prefix(bad), 0u) << bad;
    EXPECT_EQ(validUtf8Prefix("ab\xFFz"), 2u);
}

TEST(Utf8, CompletePrefixHoldsBackOnlyWhatCanStillBecomeACharacter) {
    EXPECT_EQ(completeUtf8Prefix("a\xE4\xB8"), 1u);
    EXPECT_EQ(completeUtf8Prefix("a\xE4\xB8\xAD"), 4u);
    EXPECT_EQ(completeUtf8Prefix("\xF0\x9F\x98"), 0u);
    EXPECT_EQ(completeUtf8Prefix("a\xED\xA0"), 3u);  // a surrogate: no byte can mend it
    EXPECT_EQ(completeUtf8Prefix("\x80\x80"), 2u);
    EXPECT_EQ(completeUtf8Prefix(""), 0u);
}

TEST(Utf8, ReplacesEachMaximalIllFormedPartOnce) {
    const std::string mark = "\xEF\xBF\xBD";
    EXPECT_EQ(replaceInvalidUtf8("a\xE4\xB8z"), "a" + mark + "z");
    EXPECT_EQ(replaceInvalidUtf8("\xED\xA0\x80"), mark + mark + mark);
    EXPECT_EQ(replaceInvalidUtf8("\xF0\x9F\x98"), mark);
    EXPECT_EQ(replaceInvalidUtf8("ok \xE4\xB8\xAD"), "ok \xE4\xB8\xAD");
}

TEST(Utf8, AnyBytesBecomeValidAndCutsNeverLoseAny) {
    std::mt19937 random(7);
    for (int round = 0; round < 2000; ++round) {
        std::string bytes;
        for (int i = 0; i < 12; ++i)
            bytes.push_back(static_cast<char>(random() % 3 ? 0x80 + random() % 0x80 : random() % 0x80));
        EXPECT_TRUE(isValidUtf8(replaceInvalidUtf8(bytes)));
        const size_t complete = completeUtf8Prefix(bytes);
        ASSERT_LE(complete, bytes.size());
        ASSERT_LE(bytes.size() - complete, 3u);
    }
}

}  // namespace
}  // namespace conclave::engine::base
