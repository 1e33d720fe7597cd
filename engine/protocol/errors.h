#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "engine/protocol/json.h"

namespace conclave::engine::protocol {

/// HTTP status of a failure.
int httpStatus(base::Code code);

/// {"error": {"message", "type", "param", "code"}} as OpenAI has it, plus "file" and "args" when there are
/// any, from which a client of ours rebuilds the Error and so the very same sentence.
std::string errorBody(const base::Error& error);

/// The Error in such a body; empty where the text is none. A code that this program does not know, or a
/// foreign body, becomes EngineProtocol with the message.
std::optional<base::Error> readError(std::string_view body);
std::optional<base::Error> errorIn(const Json& body);

}  // namespace conclave::engine::protocol
