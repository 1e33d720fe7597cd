#include "engine/scheduler/answer.h"

#include <gtest/gtest.h>

#include "tests/engine/scheduler/marker_model.h"
#include "tests/engine/scheduler/recorder.h"

namespace conclave::engine::scheduler {
namespace {

using base::TokenId;

/// A vocabulary as SentencePiece writes it: <s> and </s>, then words with ▁ for a space.
std::shared_ptr<const library::LoadedModel> sentencePieceModel() {
    formats::TokenizerSpec spec;
    spec.file = "words";
    spec.model = formats::TokenizerModel::ScoreBpe;
    spec.byteFallback = true;
    spec.stripLeadingSpace = true;
    spec.spaceMark = "\xE2\x96\x81";
    const auto add = [&](const std::string& token, formats::TokenKind kind) {
        spec.tokens.push_back(token);
        spec.scores.push_back(0);
        spec.kinds.push_back(kind);
    };
    add("<unk>", formats::TokenKind::Unknown);
    add("<s>", formats::TokenKind::Control);
    add("</s>", formats::TokenKind::Control);
    add("\xE2\x96\x81Hi", formats::TokenKind::Normal);
    add("\xE2\x96\x81you", formats::TokenKind::Normal);
    for (int byte = 0; byte < 256; ++byte) {
        constexpr const char* kDigits = "0123456789ABCDEF";
        add(std::string("<0x") + kDigits[byte / 16] + kDigits[byte % 16] + ">", formats::TokenKind::Byte);
    }
    spec.unknown = TokenId{0};
    spec.bos = TokenId{1};
    spec.eos = TokenId{2};
    auto tokenizer = text::Tokenizer::make(std::move(spec));
    CONCLAVE_CHECK(tokenizer.ok());
    library::LoadedModel model = *testing::makeMarkerModel("words");
    model.tokenizer = std::make_shared<const text::Tokenizer>(std::move(tokenizer).value());
    model.endTokens = {TokenId{2}};
    return std::make_shared<const library::LoadedModel>(std::move(model));
}

struct Told {
    std::string text;
    std::vector<size_t> tokensOfTexts;
    SequenceEvent end;
};

Told answerOf(const std::shared_ptr<const library::LoadedModel>& model, std::vector<int> prompt,
              const std::vector<int>& answer, std::vector<std::string> stop = {}) {
    Told told;
    GenerationRequest request;
    request.model = model;
    request.stop = std::move(stop);
    for (int id : prompt)
        request.prompt.push_back(TokenId{id});
    request.onEvent = [&](const SequenceEvent& event) {
        told.text += event.text;
        told.tokensOfTexts.push_back(event.tokens.size());
    };
    Answer side(base::SequenceId{1}, request, 1000);
    FinishReason reason = FinishReason::Cancelled;
    for (int id : answer)
        if (const auto over = side.accept({.token = TokenId{id}})) {
            reason = *over;
            break;
        }
    told.end = side.finish(reason, 0, std::nullopt);
    return told;
}

TEST(Answer, TheSpaceBeforeAnAnswerIsReal) {
    const auto model = sentencePieceModel();
    EXPECT_EQ(answerOf(model, {1, 3}, {4, 3, 2}).text, " you Hi");
    EXPECT_EQ(answerOf(model, {1}, {4, 3, 2}).text, "you Hi") << "after <s> alone a text begins";
    EXPECT_EQ(answerOf(model, {1, 3, 1}, {4}).text, " you") << "a control token at the end begins no text";
}

TEST(Answer, ControlTokensAndRowsWithoutATokenHaveNoText) {
    const auto model = testing::makeMarkerModel("m");
    const Told told = answerOf(model, {'x'}, {'a', 258, 'b', 262, 'c', testing::kMarkerEnd});
    EXPECT_EQ(told.text, "abc");
    EXPECT_EQ(told.end.reason, FinishReason::Stop);
    EXPECT_EQ(told.tokensOfTexts, (std::vector<size_t>{1, 2, 2}));
    EXPECT_EQ(told.end.tokens, (std::vector<TokenId>{TokenId{testing::kMarkerEnd}}));
    EXPECT_EQ(told.end.usage.completionTokens, 6u);
}

TEST(Answer, HeldBackTextComesAtTheEnd) {
    const auto model = testing::makeMarkerModel("m");
    Told told = answerOf(model, {'x'}, {'a', 'E', 'N', testing::kMarkerEnd}, {"END"});
    EXPECT_EQ(told.text, "aEN");
    EXPECT_FALSE(told.end.stopString);
    told = answerOf(model, {'x'}, {'a', 'E', 'N', 'D', 'b'}, {"END"});
    EXPECT_EQ(told.text, "a");
    EXPECT_EQ(told.end.reason, FinishReason::Stop);
    EXPECT_EQ(told.end.stopString, "END");
    told = answerOf(model, {'x'}, {'a', 'E', 'N'}, {"END"});
    EXPECT_EQ(told.text, "aEN") << "also of a cancelled answer";
    EXPECT_EQ(told.end.reason, FinishReason::Cancelled);
}

TEST(Answer, NamesTheStopStringThatWasCompleted) {
    const auto model = testing::makeMarkerModel("m");
    const Told told = answerOf(model, {'x'}, {'a', 'b', 'c', 'd'}, {"", "abcd", "zz", "bc", "bcd"});
    EXPECT_EQ(told.text, "a");
    EXPECT_EQ(told.end.stopString, "bc");
}

/// What each event tells of a request with log probabilities: text and tokens with their offsets.
std::vector<std::string> eventsOf(GenerationRequest request, const std::vector<int>& answer) {
    std::vector<std::string> told;
    const auto note = [&](const SequenceEvent& event) {
        std::string line = event.text + "|";
        EXPECT_EQ(event.tokens.size(), event.details.size());
        for (size_t i = 0; i < event.tokens.size(); ++i) {
            const TokenDetail& detail = event.details[i];
            EXPECT_EQ(detail.logprobs.chosen.token, event.tokens[i]);
            line +=
                " " + std::to_string(base::toInt(event.tokens[i])) + "@" + std::to_string(detail.textOffset);
        }
        told.push_back(line);
    };
    request.model = testing::makeMarkerModel("m");
    request.prompt = {TokenId{'x'}};
    request.onEvent = note;
    Answer side(base::SequenceId{1}, request, 1000);
    for (const int id : answer)
        if (side.accept({TokenId{id}, sampling::Logprobs{{TokenId{id}, -1}, {}}})) break;
    note(side.finish(FinishReason::Length, 0, std::nullopt));
    return told;
}
using Lines = std::vector<std::string>;

TEST(Answer, LogprobsComeWithTheTextOfTheirTokens) {
    EXPECT_EQ(eventsOf({}, {'a', 'b', testing::kMarkerEnd}), (Lines{"a| 97@0", "b| 98@1", "| 257@2"}));
    // A character of two tokens, and a control token before the next one.
    EXPECT_EQ(eventsOf({}, {'a', 0xC3, 0xA9, 258, 'b'}),
              (Lines{"a| 97@0", "\xC3\xA9| 195@1 169@1", "b| 258@2 98@2", "|"}));
    // Half a character at the end.
    EXPECT_EQ(eventsOf({}, {'a', 0xC3}), (Lines{"a| 97@0", "\xEF\xBF\xBD| 195@1", "|"}));
}

TEST(Answer, HeldBackTokensComeWhenTheirTextDoes) {
    GenerationRequest request;
    request.stop = {"END"};
    EXPECT_EQ(eventsOf(request, {'E', 'N', 'E', 'x'}), (Lines{"EN| 69@0 78@1", "Ex| 69@2 120@3", "|"}));
    EXPECT_EQ(eventsOf(request, {'a', 'E', 'N', 'D', 'x'}), (Lines{"a| 97@0", "| 69@1 78@2 68@3"}))
        << "a stop string is not shown, but its tokens are told";
    EXPECT_EQ(eventsOf(request, {'E', 'N', testing::kMarkerEnd}), (Lines{"EN| 69@0 78@1", "| 257@2"}));
}

TEST(Answer, StopStringsCountOnlyAfterTheLeastTokens) {
    GenerationRequest request;
    request.stop = {"END"};
    request.minTokens = 4;
    EXPECT_EQ(eventsOf(request, {'E', 'N', 'D', 'E', 'N', 'D', 'x', 'E', 'N', 'D'}),
              (Lines{"E| 69@0", "N| 78@1", "D| 68@2", "E| 69@3", "N| 78@4", "D| 68@5", "x| 120@6",
                     "| 69@7 78@8 68@9"}));
}

TEST(Answer, AnIgnoredEndGoesOn) {
    GenerationRequest request;
    request.ignoreEnd = true;
    EXPECT_EQ(eventsOf(request, {'a', testing::kMarkerEnd, 'b'}), (Lines{"a| 97@0", "b| 257@1 98@1", "|"}));
}

}  // namespace
}  // namespace conclave::engine::scheduler
