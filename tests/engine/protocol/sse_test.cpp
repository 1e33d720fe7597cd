#include "engine/protocol/sse.h"

#include <gtest/gtest.h>

namespace conclave::engine::protocol {
namespace {

TEST(Sse, FramesAreReadBackWhereverTheyBreak) {
    const std::string stream =
        sseFrame("", "{\"a\":1}") + sseFrame("progress", "{}") + sseFrame("", "[DONE]");
    for (size_t piece = 1; piece <= stream.size(); ++piece) {
        SseParser parser;
        std::vector<SseEvent> events;
        for (size_t at = 0; at < stream.size(); at += piece)
            for (SseEvent& event : parser.push(std::string_view(stream).substr(at, piece)))
                events.push_back(std::move(event));
        ASSERT_EQ(events.size(), 3u) << piece;
        EXPECT_EQ(events[0].data, "{\"a\":1}");
        EXPECT_EQ(events[1].event, "progress");
        EXPECT_EQ(events[2].data, "[DONE]");
        EXPECT_EQ(events[2].event, "");
    }
}

TEST(Sse, TakesEveryLineEndAndComment) {
    SseParser parser;
    const auto events = parser.push(": hello\r\ndata:a\rdata: b\n\r\nevent: x\n\ndata:  c\r\r");
    ASSERT_EQ(events.size(), 2u);
    EXPECT_EQ(events[0].data, "a\nb");
    EXPECT_EQ(events[1].data, " c");
}

TEST(Sse, AnUnfinishedEventIsNotGiven) {
    SseParser parser;
    EXPECT_TRUE(parser.push("data: half").empty());
    EXPECT_TRUE(parser.push("\n").empty());
    EXPECT_EQ(parser.push("\n").size(), 1u);
}

TEST(Sse, AnEndlessLineOverflows) {
    SseParser parser;
    const std::string piece(size_t{1} << 20, 'x');
    for (size_t i = 0; i <= SseParser::kLimitBytes / piece.size() && !parser.overflowed(); ++i)
        EXPECT_TRUE(parser.push(piece).empty());
    EXPECT_TRUE(parser.overflowed());
}

}  // namespace
}  // namespace conclave::engine::protocol
