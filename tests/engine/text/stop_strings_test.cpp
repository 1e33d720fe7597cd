#include "engine/text/stop_strings.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>

namespace conclave::engine::text {
namespace {

/// Where the text ends by definition: before the longest of the stop strings that are complete first.
std::pair<std::string, bool> slowStop(const std::vector<std::string>& stops, const std::string& text) {
    for (size_t end = 1; end <= text.size(); ++end) {
        size_t longest = 0;
        for (const std::string& stop : stops)
            if (!stop.empty() && stop.size() <= end &&
                text.compare(end - stop.size(), stop.size(), stop) == 0)
                longest = std::max(longest, stop.size());
        if (longest) return {text.substr(0, end - longest), true};
    }
    return {text, false};
}

TEST(StopStrings, AgreeWithTheDefinitionHoweverTheStreamIsCut) {
    std::mt19937 random(5);
    for (int round = 0; round < 20000; ++round) {
        std::vector<std::string> stops(random() % 4);
        for (std::string& stop : stops)
            for (size_t i = random() % 5; i > 0; --i)
                stop += static_cast<char>('a' + random() % 3);
        std::string text;
        for (size_t i = random() % 30; i > 0; --i)
            text += static_cast<char>('a' + random() % 3);
        StopStrings watch(stops);
        std::string shown;
        bool stopped = false;
        for (size_t at = 0; at < text.size();) {
            const size_t length = 1 + random() % 4;
            const auto out = watch.push(std::string_view(text).substr(at, length));
            EXPECT_FALSE(stopped && !out.text.empty());
            shown += out.text;
            stopped = out.stopped;
            at += length;
            // What is shown can never have to be taken back.
            ASSERT_EQ(shown, slowStop(stops, text).first.substr(0, shown.size()));
        }
        shown += watch.finish();
        ASSERT_EQ(std::pair(shown, stopped), slowStop(stops, text)) << text;
    }
}

TEST(StopStrings, HoldsBackNoMoreThanItMust) {
    StopStrings watch({"</end>"});
    EXPECT_EQ(watch.push("text <").text, "text ");
    EXPECT_EQ(watch.push("/e").text, "");
    EXPECT_EQ(watch.push("x").text, "</ex");
    EXPECT_EQ(watch.push("<</en").text, "<");
    const auto last = watch.push("d> hidden");
    EXPECT_TRUE(last.stopped);
    EXPECT_EQ(last.text, "");
    EXPECT_EQ(watch.push("more").text, "");
    EXPECT_TRUE(watch.push("more").stopped);
    EXPECT_EQ(watch.finish(), "");
}

TEST(StopStrings, WithoutStopsTextPasses) {
    StopStrings watch({"", ""});
    EXPECT_EQ(watch.push("abc").text, "abc");
    EXPECT_EQ(watch.finish(), "");
}

TEST(StopStrings, LinearInTheStream) {
    StopStrings watch({std::string(100000, 'a') + "b"});
    const auto begin = std::chrono::steady_clock::now();
    size_t shown = 0;
    for (int i = 0; i < 2000000; ++i)
        shown += watch.push("a").text.size();
    EXPECT_EQ(shown, 2000000u - 100000u);
    EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(), 60.0);
}

}  // namespace
}  // namespace conclave::engine::text
