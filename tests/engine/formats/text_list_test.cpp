#include "engine/formats/text_list.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace conclave::engine::formats {
namespace {

TEST(TextList, GivesBackWhatWasPutIn) {
    TextList list;
    EXPECT_TRUE(list.empty());
    EXPECT_EQ(list.begin(), list.end());
    list.reserve(3, 8);
    list.push_back("one");
    list.push_back("");
    list.push_back(std::string_view("t\0o", 3));
    EXPECT_EQ(list.size(), 3u);
    EXPECT_EQ(list.bytes(), 6u);
    EXPECT_EQ(list[0], "one");
    EXPECT_EQ(list[1], "");
    EXPECT_EQ(list[2], std::string_view("t\0o", 3));
}

TEST(TextList, IsALikeListWhateverItWasMadeOf) {
    const std::vector<std::string> strings{"", "a", std::string(100, 'x')};
    const TextList list(strings);
    EXPECT_TRUE(std::equal(list.begin(), list.end(), strings.begin(), strings.end()));
    EXPECT_EQ(list, (TextList{"", "a", std::string(100, 'x')}));
    EXPECT_NE(list, (TextList{"a", "", std::string(100, 'x')}));
    EXPECT_NE(list, (TextList{"", "a"}));
}

TEST(TextList, MovedOrCopiedItHasItsTexts) {
    TextList list{"a", "bc"};
    const TextList copy = list;
    list.push_back("d");
    const TextList moved = std::move(list);
    EXPECT_EQ(copy, (TextList{"a", "bc"}));
    EXPECT_EQ(moved, (TextList{"a", "bc", "d"}));
}

}  // namespace
}  // namespace conclave::engine::formats
