#pragma once

#include <string>
#include <string_view>

#include "engine/protocol/generation.h"

namespace conclave::engine::protocol {

/// POST /v1/chat/completions.
struct ChatRequest {
    Generation generation;
    /// As they came, except: text parts are joined by newlines into one string, and the role "developer" is
    /// "system". Keys that this room does not know are kept, as templates may.
    Json messages = Json::array();
    Json tools;                             ///< an array, or null
    Json templateOptions = Json::object();  ///< chat_template_kwargs: further variables of the template
    bool addGenerationPrompt = true;
};

/// Reads and checks a request body. Errors: InvalidJson, InvalidUtf8, DuplicateName, LimitExceeded,
/// OutOfRange with field, value and range, BadArgument for what is missing or not offered.
base::Result<ChatRequest> readChatRequest(std::string_view body);

Json toJson(const ChatRequest& request);

/// {"role": role, "content": content}: one element of ChatRequest::messages.
Json chatMessage(std::string_view role, std::string_view content);

}  // namespace conclave::engine::protocol
