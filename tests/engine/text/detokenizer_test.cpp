#include "engine/text/detokenizer.h"

#include <gtest/gtest.h>

#include <random>

#include "engine/base/utf8.h"

namespace conclave::engine::text {
namespace {

TEST(Detokenizer, NeverGivesHalfACharacter) {
    Detokenizer stream;
    EXPECT_EQ(stream.push("a\xF0\x9F"), "a");
    EXPECT_EQ(stream.push("\x98"), "");
    EXPECT_EQ(stream.push("\x80z"), "\xF0\x9F\x98\x80z");
    EXPECT_EQ(stream.push("\xC3"), "");
    EXPECT_EQ(stream.finish(), "\xEF\xBF\xBD");
    EXPECT_EQ(stream.finish(), "");
}

TEST(Detokenizer, WhatCannotBecomeValidIsReplacedAtOnce) {
    Detokenizer stream;
    EXPECT_EQ(stream.push("\xFF"), "\xEF\xBF\xBD");
    EXPECT_EQ(stream.push(std::string("\xE4\xB8", 2)), "");
    EXPECT_EQ(stream.push("x"), "\xEF\xBF\xBDx");
    EXPECT_EQ(stream.push("\xED\xA0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");  // a surrogate
    EXPECT_EQ(stream.push(std::string_view("\0\xEF\xBF\xBE", 4)), std::string("\0\xEF\xBF\xBE", 4));
}

TEST(Detokenizer, AnyCutGivesTheSameText) {
    std::mt19937 random(2);
    for (int round = 0; round < 5000; ++round) {
        std::string bytes;
        for (size_t i = random() % 20; i > 0; --i) {
            if (random() % 3)
                base::appendUtf8(
                    bytes, static_cast<char32_t>(std::vector{0x41, 0xE9, 0x4E2D, 0x1F600}[random() % 4]));
            else
                bytes += static_cast<char>(random());
        }
        Detokenizer stream;
        std::string text;
        for (size_t at = 0; at < bytes.size();) {
            const size_t length = 1 + random() % 3;
            text += stream.push(std::string_view(bytes).substr(at, length));
            EXPECT_TRUE(base::isValidUtf8(text));
            at += length;
        }
        text += stream.finish();
        ASSERT_EQ(text, base::replaceInvalidUtf8(bytes));
    }
}

}  // namespace
}  // namespace conclave::engine::text
