#pragma once

#include <string_view>

#include "engine/text/jinja/ast.h"

namespace conclave::engine::text::jinja {

/// Parses a template (valid UTF-8). Throws Failure: TemplateSyntax with the line, TemplateBudget where it
/// nests deeper than `maxDepth`.
void parse(std::string_view source, uint32_t maxDepth, Program& program);

}  // namespace conclave::engine::text::jinja
