#pragma once

#include <string>

#include "engine/base/result.h"

namespace conclave::engine::formats {

/// Whether PEFT takes `module` for one that the key `pattern` of rank_pattern or alpha_pattern means: the
/// whole name, or its end behind a dot, fits the regular expression (get_pattern_key in peft/utils/other.py).
/// Runs with a budget of steps. Errors: ValueOutOfRange at `field` of `file` for what is no regular
/// expression, or one that does not come to an end.
base::Result<bool> meansModule(const std::string& pattern, const std::string& module, const std::string& file,
                               const std::string& field);

}  // namespace conclave::engine::formats
