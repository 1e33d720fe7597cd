#include "engine/scheduler/answer.h"

#include <algorithm>
#include <utility>

namespace conclave::engine::scheduler {
namespace {

/// A vocabulary that writes a space before every text (SentencePiece) takes it away again at the beginning of
/// a text. An answer goes on from its prompt, so its first space is real, as in llama.cpp and in
/// transformers' decoding of the whole; only after a prompt of nothing but control tokens (<s>) does a text
/// begin.
bool beginsText(const GenerationRequest& request) {
    const text::Tokenizer& tokenizer = *request.model->tokenizer;
    return tokenizer.stripsLeadingSpace() &&
           std::all_of(request.prompt.begin(), request.prompt.end(), [&](base::TokenId token) {
               return static_cast<size_t>(base::toInt(token)) < tokenizer.size() &&
                      tokenizer.isControl(token);
           });
}

uint32_t charactersOf(std::string_view text) {
    return static_cast<uint32_t>(
        std::ranges::count_if(text, [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; }));
}

/// Which stop string was completed: `rest` is the text from where nothing is shown any more.
std::optional<std::string> stopAt(const std::vector<std::string>& stops, std::string_view rest) {
    std::optional<std::string> found;
    for (const std::string& stop : stops)
        if (!stop.empty() && rest.starts_with(stop) && (!found || stop.size() < found->size())) found = stop;
    return found;
}

}  // namespace

Answer::Answer(base::SequenceId id, const GenerationRequest& request, uint32_t limit)
    : id_(id), request_(request), limit_(limit), stripSpace_(beginsText(request)), stops_(request.stop) {}

void Answer::tell(std::string text) {
    if (text.empty()) return;
    SequenceEvent event;
    event.sequence = id_;
    toldBytes_ += text.size();
    event.text = std::move(text);
    // A token goes with the first byte of its text, one without text with the text after it.
    const auto later =
        std::ranges::find_if(untold_, [&](const Untold& token) { return token.bytes >= toldBytes_; });
    addUntold(event, static_cast<size_t>(later - untold_.begin()));
    request_.onEvent(event);
}

/// Moves the first `count` untold tokens into the event.
void Answer::addUntold(SequenceEvent& event, size_t count) {
    const auto end = untold_.begin() + static_cast<std::ptrdiff_t>(count);
    for (auto token = untold_.begin(); token != end; ++token) {
        event.tokens.push_back(token->chosen.token);
        if (token->chosen.logprobs)
            event.details.push_back({std::move(*token->chosen.logprobs), token->characters});
    }
    untold_.erase(untold_.begin(), end);
}

bool Answer::push(std::string text) {
    if (text.empty()) return false;
    bytes_ += text.size();
    characters_ += charactersOf(text);
    if (generated_ <= request_.minTokens) {  // no end is looked for yet, so nothing is held back
        tell(std::move(text));
        return false;
    }
    held_ += text;
    text::StopStrings::Out out = stops_.push(text);
    held_.erase(0, out.text.size());
    if (out.stopped) stopString_ = stopAt(request_.stop, held_);
    tell(std::move(out.text));
    return out.stopped;
}

std::optional<FinishReason> Answer::accept(sampling::Choice chosen) {
    const base::TokenId token = chosen.token;
    ++generated_;
    untold_.push_back({std::move(chosen), bytes_, characters_});
    if (!request_.ignoreEnd &&
        std::ranges::find(request_.model->endTokens, token) != request_.model->endTokens.end())
        return FinishReason::Stop;
    // Padded models have embedding rows without a token; like control tokens they have no text.
    const text::Tokenizer& tokenizer = *request_.model->tokenizer;
    if (static_cast<size_t>(base::toInt(token)) < tokenizer.size() && !tokenizer.isControl(token)) {
        std::string_view bytes = tokenizer.bytes(token);
        if (std::exchange(stripSpace_, false) && bytes.starts_with(' ')) bytes.remove_prefix(1);
        if (push(detokenizer_.push(bytes))) return FinishReason::Stop;
    }
    if (generated_ >= limit_) return FinishReason::Length;
    return std::nullopt;
}

SequenceEvent Answer::finish(FinishReason reason, uint32_t cachedTokens, std::optional<base::Error> error) {
    if (!stopString_ && !push(detokenizer_.finish())) tell(stops_.finish());
    SequenceEvent event;
    event.kind = SequenceEvent::Kind::Finished;
    event.sequence = id_;
    addUntold(event, untold_.size());
    event.reason = reason;
    if (stopString_ && reason == FinishReason::Length)  // what was held back turned out to complete it
        event.reason = FinishReason::Stop;
    if (event.reason == FinishReason::Stop) event.stopString = stopString_;
    event.usage = {static_cast<uint32_t>(request_.prompt.size()), generated_, cachedTokens};
    event.error = std::move(error);
    return event;
}

}  // namespace conclave::engine::scheduler
