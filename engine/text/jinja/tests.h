#pragma once

#include <string_view>

#include "engine/text/jinja/callable.h"

namespace conclave::engine::text::jinja {

/// The test behind `is`, or null.
const FunctionRow* findTest(std::string_view name);

}  // namespace conclave::engine::text::jinja
