#include "engine/protocol/logprobs.h"

#include <algorithm>

#include "engine/base/utf8.h"

namespace conclave::engine::protocol {
namespace {

double finite(double logprob) {
    return std::max(logprob, -9999.0);
}

Json chatToken(const ScoredToken& token) {
    Json bytes = Json::array();
    for (const char byte : token.bytes)
        bytes.push_back(static_cast<uint8_t>(byte));
    return {{"token", base::replaceInvalidUtf8(token.bytes)},
            {"logprob", finite(token.logprob)},
            {"bytes", std::move(bytes)}};
}

std::string completionToken(const ScoredToken& token) {
    if (base::isValidUtf8(token.bytes)) return token.bytes;
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string out = "bytes:";
    for (const char byte : token.bytes) {
        const auto value = static_cast<uint8_t>(byte);
        out += {'\\', 'x', kDigits[value / 16], kDigits[value % 16]};
    }
    return out;
}

}  // namespace

Json chatLogprobs(std::span<const TokenScore> scores) {
    if (scores.empty()) return nullptr;
    Json content = Json::array();
    for (const TokenScore& score : scores) {
        Json entry = chatToken(score.chosen);
        entry["top_logprobs"] = Json::array();
        for (const ScoredToken& token : score.top)
            entry["top_logprobs"].push_back(chatToken(token));
        content.push_back(std::move(entry));
    }
    return {{"content", std::move(content)}, {"refusal", nullptr}};
}

Json completionLogprobs(std::span<const TokenScore> scores) {
    if (scores.empty()) return nullptr;
    Json tokens = Json::array(), logprobs = Json::array(), tops = Json::array(), offsets = Json::array();
    for (const TokenScore& score : scores) {
        tokens.push_back(completionToken(score.chosen));
        logprobs.push_back(finite(score.chosen.logprob));
        Json top = Json::object();
        for (const ScoredToken& token : score.top)
            top.emplace(completionToken(token), finite(token.logprob));  // of equal texts the likelier
        top.emplace(completionToken(score.chosen), finite(score.chosen.logprob));
        tops.push_back(std::move(top));
        offsets.push_back(score.textOffset);
    }
    return {{"tokens", std::move(tokens)},
            {"token_logprobs", std::move(logprobs)},
            {"top_logprobs", std::move(tops)},
            {"text_offset", std::move(offsets)}};
}

}  // namespace conclave::engine::protocol
