#include "engine/server/writing.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace conclave::engine::server {
namespace {

using base::Code;
using base::Error;

uint32_t charactersOf(std::string_view text) {
    return static_cast<uint32_t>(
        std::ranges::count_if(text, [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; }));
}

void append(protocol::ChoicePart& to, std::string_view text, std::vector<protocol::TokenScore> scores) {
    to.text += text;
    to.scores.insert(to.scores.end(), std::make_move_iterator(scores.begin()),
                     std::make_move_iterator(scores.end()));
}

}  // namespace

Writing::Writing(Form form, scheduler::Scheduler& scheduler)
    : form_(std::move(form)), scheduler_(scheduler), leadCharacters_(charactersOf(form_.lead)) {
    for (uint32_t choice = 0; choice < form_.choices; ++choice)
        whole_.push_back({.part = {.text = form_.lead, .index = choice}});
}

void Writing::begin(Exchange& exchange) {
    if (begun_ || !form_.stream || exchange.finished()) return;
    begun_ = true;
    exchange.beginEvents("");
    for (uint32_t choice = 0; choice < form_.choices; ++choice) {
        if (form_.head.kind == protocol::AnswerKind::Chat)
            exchange.event("", protocol::roleChunk(form_.head, choice));
        if (!form_.lead.empty())
            exchange.event("", protocol::textChunk(form_.head, {.text = form_.lead, .index = choice}));
    }
}

void Writing::setSequences(std::vector<base::SequenceId> sequences, Exchange& exchange) {
    sequences_ = std::move(sequences);
    const auto cancelAll = [this] {
        for (const base::SequenceId id : sequences_)
            scheduler_.cancel(id);
    };
    if (exchange.finished()) return cancelAll();
    exchange.whenGone([&scheduler = scheduler_, ids = sequences_] {
        for (const base::SequenceId id : ids)
            scheduler.cancel(id);
    });
    begin(exchange);
}

/// A token's bytes are its own, also where the text leaves them out: a control token's name, and nothing for
/// an embedding row without a token.
std::vector<protocol::TokenScore> Writing::scoresOf(const scheduler::SequenceEvent& event) const {
    const text::Tokenizer& tokenizer = *form_.model->tokenizer;
    const auto scored = [&](const sampling::TokenLogprob& token) {
        protocol::ScoredToken out{{}, token.logprob};
        if (static_cast<size_t>(base::toInt(token.token)) < tokenizer.size())
            out.bytes = tokenizer.bytes(token.token);
        return out;
    };
    std::vector<protocol::TokenScore> scores;
    for (const scheduler::TokenDetail& detail : event.details) {
        protocol::TokenScore score{scored(detail.logprobs.chosen), {}, leadCharacters_ + detail.textOffset};
        for (const sampling::TokenLogprob& token : detail.logprobs.top)
            score.top.push_back(scored(token));
        scores.push_back(std::move(score));
    }
    return scores;
}

void Writing::take(uint32_t choice, const scheduler::SequenceEvent& event, Exchange& exchange) {
    if (exchange.finished()) return;
    if (event.kind == scheduler::SequenceEvent::Kind::Text)
        takeText(choice, event, exchange);
    else
        takeEnd(choice, event, exchange);
}

void Writing::takeText(uint32_t choice, const scheduler::SequenceEvent& event, Exchange& exchange) {
    begin(exchange);
    if (!form_.stream)
        append(whole_[choice].part, event.text, scoresOf(event));
    else if (!event.text.empty())
        exchange.event("", protocol::textChunk(
                               form_.head, {.text = event.text, .index = choice, .scores = scoresOf(event)}));
}

void Writing::takeEnd(uint32_t choice, const scheduler::SequenceEvent& event, Exchange& exchange) {
    using scheduler::FinishReason;
    // A failure before the first word is an answer with a status of its own; later it is the stream's last
    // event.
    if (event.reason == FinishReason::Failed)
        return fail(event.error.value_or(Error{Code::Internal, {}, {}, {"the sequence failed"}}), exchange);
    if (event.reason == FinishReason::Cancelled) return fail({Code::Cancelled, {}, {}, {}}, exchange);
    begin(exchange);
    // The choices have one prompt, which is counted once; the first one says how much of it was there before.
    usage_.promptTokens = event.usage.promptTokens;
    usage_.completionTokens += event.usage.completionTokens;
    if (choice == 0) usage_.cachedTokens = event.usage.cachedTokens;
    const protocol::Finish finish =
        event.reason == FinishReason::Stop ? protocol::Finish::Stop : protocol::Finish::Length;
    if (form_.stream) {
        exchange.event("", protocol::finishChunk(form_.head, finish,
                                                 {.text = {}, .index = choice, .scores = scoresOf(event)}));
    } else {
        whole_[choice].finish = finish;
        append(whole_[choice].part, {}, scoresOf(event));
    }
    if (++ended_ == form_.choices) this->finish(exchange);
}

void Writing::finish(Exchange& exchange) {
    if (!form_.stream) return exchange.whole(200, protocol::wholeAnswer(form_.head, whole_, usage_));
    if (form_.head.includeUsage) exchange.event("", protocol::usageChunk(form_.head, usage_));
    exchange.event("", protocol::kDone);
    exchange.end();
}

void Writing::fail(const Error& error, Exchange& exchange) {
    exchange.fail(error);
    for (const base::SequenceId id : sequences_)  // a choice alone is no answer
        scheduler_.cancel(id);
}

}  // namespace conclave::engine::server
