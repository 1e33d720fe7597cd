#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/ids.h"
#include "engine/protocol/fields.h"
#include "engine/protocol/lora.h"
#include "engine/protocol/router.h"

namespace conclave::engine::protocol {

/// One entry of logit_bias.
struct TokenBias {
    base::TokenId token{};
    std::optional<double> bias;  ///< −100–100, added to the logit; none (false on the wire): never chosen
};

/// The fields that chat and completion requests share. What is empty was not asked for: the model's own
/// defaults count then, and after those temperature 1 and top_p 1.
struct Generation {
    std::string model;                                        ///< empty: the engine's default
    std::optional<double> temperature;                        ///< 0–5; 0 = greedy
    std::optional<double> topP, minP;                         ///< 0–1
    std::optional<double> typicalP;                           ///< 0–1
    std::optional<uint32_t> topK;                             ///< 0 = off (any value ≤ 0 on the wire)
    std::optional<double> presencePenalty, frequencyPenalty;  ///< −2–2; of generated tokens
    std::optional<double> repetitionPenalty;  ///< 0.01–100; of prompt and answer; also repeat_penalty
    std::optional<int32_t> repeatLastN;       ///< tokens that penalties look back at; −1 = all, 0 = none
    std::vector<TokenBias> logitBias;         ///< at most 10,000
    std::optional<uint32_t> maxTokens;  ///< max_completion_tokens or max_tokens; empty: up to the context
    std::optional<uint64_t> seed;       ///< any 64-bit integer on the wire; −1 = none
    uint32_t minTokens = 0;             ///< no end token and no stop string before so many
    bool ignoreEos = false;             ///< end tokens do not end the answer
    std::vector<std::string> stop;      ///< at most 16
    uint32_t n = 1;                     ///< 1–16 answers
    /// Log probabilities, and so many of the likeliest tokens: chat's logprobs and top_logprobs (0–20),
    /// completions' logprobs (0–5), which those rooms read and write.
    std::optional<uint32_t> logprobs;
    bool stream = false;
    bool includeUsage = false;                   ///< stream_options.include_usage
    std::optional<std::vector<LoraUse>> lora{};  ///< none: the caller's default; empty: the base alone
    std::optional<RouterWish> router{};          ///< none: the model's default; empty: as trained
    std::optional<base::Priority> priority{};    ///< interactive, chat or background
    std::string conversation{};                  ///< readConversation(); empty: none
};

/// Reads them; what is wrong is remembered in `fields`. Also refuses what would change the answer and is not
/// offered (best_of, response_format), unless it has its neutral value.
Generation readGeneration(Fields& fields);

/// Writes what is set into `body`, logprobs apart.
void writeGeneration(const Generation& generation, Json& body);

}  // namespace conclave::engine::protocol
