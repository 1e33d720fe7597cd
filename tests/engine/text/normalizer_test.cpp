#include "engine/text/normalizer.h"

#include <gtest/gtest.h>
#include <utf8proc.h>

#include <chrono>
#include <random>

#include "engine/base/utf8.h"

namespace conclave::engine::text {
namespace {

std::string byUtf8proc(const std::string& text) {
    utf8proc_uint8_t* made = nullptr;
    const auto size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                   static_cast<utf8proc_ssize_t>(text.size()), &made,
                                   static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
    std::string out(reinterpret_cast<const char*>(made), static_cast<size_t>(size));
    std::free(made);
    return out;
}

TEST(Nfc, AgreesWithTheWholeTextAtOnce) {
    std::mt19937 random(6);
    const std::vector<std::pair<char32_t, char32_t>> ranges = {
        {0x20, 0x7E},     {0xA0, 0x17F},    {0x300, 0x36F}, {0x300, 0x310}, {0x1100, 0x11FF},
        {0xAC00, 0xAC40}, {0x1E00, 0x1FFF}, {0x900, 0x97F}, {0xF70, 0xF90}, {0x2120, 0x2130}};
    for (int round = 0; round < 4000; ++round) {
        std::string text;
        for (size_t i = random() % 80; i > 0; --i) {
            const auto [low, high] = ranges[random() % ranges.size()];
            base::appendUtf8(text, low + static_cast<char32_t>(random() % (high - low + 1)));
        }
        ASSERT_EQ(toNfc(text), byUtf8proc(text)) << text;
    }
}

TEST(Nfc, LongRunsOfMarksAreSortedAndQuick) {
    std::mt19937 random(8);
    for (const size_t length : {size_t{15}, size_t{16}, size_t{17}, size_t{18}, size_t{300}}) {
        std::string text = "\xC3\xA9";
        for (size_t i = 0; i < length; ++i)
            base::appendUtf8(text, static_cast<char32_t>(random() % 9 ? 0x300 + random() % 0x4E : 0x344));
        text += "a";
        ASSERT_EQ(toNfc(text), byUtf8proc(text)) << length;
    }
    std::string marks;
    for (size_t i = 0; i < 1000000; ++i)
        marks += i % 2 ? "\xCC\xA7" : "\xCC\x81";
    const auto begin = std::chrono::steady_clock::now();
    const std::string sorted = toNfc("e" + marks);
    EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(), 10.0);
    EXPECT_EQ(sorted.substr(0, 4), "\xC8\xA9\xCC\xA7");  // ȩ, then the cedillas, then the accents
}

base::Result<std::string> apply(std::vector<formats::NormalizerStep> steps, const std::string& text) {
    const auto made = Normalizer::make(steps, "test");
    EXPECT_TRUE(made.ok());
    return made->apply(text);
}

TEST(Normalizer, StepsInOrder) {
    EXPECT_EQ(*apply({formats::PrependStep{"_"}, formats::ReplaceStep{" ", false, "_"}}, " a b"), "__a_b");
    EXPECT_EQ(*apply({formats::ReplaceStep{" ", false, "_"}, formats::PrependStep{"_"}}, ""), "");
    EXPECT_EQ(*apply({formats::ReplaceStep{"\\s+", true, " "}}, "a \n b"), "a b");
    EXPECT_EQ(*apply({formats::ReplaceStep{"x*", true, "-"}}, "axxb"), "a-b");
    EXPECT_EQ(*apply({formats::ReplaceStep{"ab", false, ""}}, "aabb"), "ab");
    EXPECT_EQ(*apply({formats::NfcStep{}}, "e\xCC\x81"), "\xC3\xA9");
}

TEST(Normalizer, ReplacementsCannotBlowATextUp) {
    const formats::ReplaceStep tenfold{"a", false, std::string(1000, 'a')};
    const auto text = apply({tenfold, tenfold, tenfold, tenfold}, std::string(1000, 'a'));
    ASSERT_FALSE(text.ok());
    EXPECT_EQ(text.error().code, base::Code::LimitExceeded);
}

}  // namespace
}  // namespace conclave::engine::text
