#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/result.h"
#include "engine/protocol/json.h"

namespace conclave::engine::protocol {

/// POST /tokenize.
struct TokenizeRequest {
    std::string model;  ///< empty: the engine's default
    std::string content;
    bool addSpecial = false;    ///< the vocabulary's own rule for a beginning-of-text token
    bool parseSpecial = false;  ///< control tokens are matched in the content
};
base::Result<TokenizeRequest> readTokenizeRequest(std::string_view body);
Json toJson(const TokenizeRequest& request);
std::string tokensBody(const std::vector<base::TokenId>& tokens);
base::Result<std::vector<base::TokenId>> readTokens(std::string_view body);

/// POST /detokenize. Control tokens are shown.
struct DetokenizeRequest {
    std::string model;
    std::vector<base::TokenId> tokens;
};
base::Result<DetokenizeRequest> readDetokenizeRequest(std::string_view body);
Json toJson(const DetokenizeRequest& request);
std::string contentBody(std::string_view content);
base::Result<std::string> readContent(std::string_view body);

}  // namespace conclave::engine::protocol
