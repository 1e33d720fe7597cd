#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace conclave::engine::offline {

/// A chat template to try out: a file of its own (.jinja), or a model's.
struct TemplateRequest {
    std::string templateFile;  ///< either this …
    std::string
        modelPath;  ///< … or this; the model's bos_token and eos_token are filled in where the input has none
    std::string_view input;  ///< JSON: the template's variables, or an object that holds them as "input" (and
                             ///< the clock as "now")
    std::string now;         ///< YYYY-MM-DDTHH:MM:SS, local time; empty: the input's "now", else this moment
};

/// The text that the template writes. Errors: NoChatTemplate, InvalidJson, BadArgument for a clock that is
/// none, and what the template says.
base::Result<std::string> renderTemplate(const TemplateRequest& request);

}  // namespace conclave::engine::offline
