#pragma once

#include <span>

#include "engine/text/jinja/callable.h"

namespace conclave::engine::text::jinja {

/// The functions every template can call: range, dict, namespace, cycler, joiner, raise_exception,
/// strftime_now.
std::span<const FunctionRow> globalFunctions();

}  // namespace conclave::engine::text::jinja
