#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/protocol/logprobs.h"

namespace conclave::engine::protocol {

enum class AnswerKind : uint8_t { Chat, Completion };
enum class Finish : uint8_t { Stop, Length };
std::string_view name(Finish finish);  ///< "stop", "length"

struct Usage {
    uint32_t promptTokens = 0, completionTokens = 0;
    uint32_t cachedTokens = 0;  ///< of the prompt, taken from the cache
};

/// What every piece of one answer repeats.
struct AnswerHead {
    AnswerKind kind = AnswerKind::Chat;
    std::string id;  ///< "chatcmpl-…" or "cmpl-…"
    int64_t createdUnix = 0;
    std::string model;
    std::string fingerprint;    ///< numerics id: equal fingerprints and seeds give equal answers
    bool includeUsage = false;  ///< every chunk carries "usage": null
};

/// What is told of one of the choices.
struct ChoicePart {
    std::string text;
    uint32_t index = 0;
    std::vector<TokenScore> scores{};  ///< of the tokens behind the text; none: "logprobs": null
};

// The pieces of a stream in the schema of OpenAI, each the data of one event: for chat the role of every
// choice first; then text, of all choices as it comes; then for each its finish with an empty delta (its
// scores are those of tokens without text, such as the end token); then, where it was asked for, the usage
// with no choices; then kDone.
std::string roleChunk(const AnswerHead& head, uint32_t index = 0);
std::string textChunk(const AnswerHead& head, const ChoicePart& part);
std::string finishChunk(const AnswerHead& head, Finish finish, const ChoicePart& part = {});
std::string usageChunk(const AnswerHead& head, const Usage& usage);
inline constexpr std::string_view kDone = "[DONE]";

/// A choice that is over.
struct WholeChoice {
    ChoicePart part;
    Finish finish = Finish::Stop;
};

/// The whole answer of a request without stream.
std::string wholeAnswer(const AnswerHead& head, std::span<const WholeChoice> choices, const Usage& usage);

/// What one chunk, or a whole answer, says of the first choice.
struct AnswerPiece {
    std::string text;
    std::string finish;  ///< "stop", "length"; empty before the end
    std::optional<Usage> usage;
    std::string id, model;
};

/// Reads a chunk or a whole answer of either kind. Errors: the one that the engine sent in it, or
/// EngineProtocol.
base::Result<AnswerPiece> readAnswer(std::string_view json);

}  // namespace conclave::engine::protocol
