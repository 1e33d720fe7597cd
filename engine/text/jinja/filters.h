#pragma once

#include <span>
#include <string_view>

#include "engine/text/jinja/callable.h"

namespace conclave::engine::text::jinja {

/// The filter of that name, or null.
const FunctionRow* findFilter(std::string_view name);

// The tables it looks into, one a file.
std::span<const FunctionRow> textFilters();
std::span<const FunctionRow> numberFilters();
std::span<const FunctionRow> sequenceFilters();
std::span<const FunctionRow> selectionFilters();

}  // namespace conclave::engine::text::jinja
