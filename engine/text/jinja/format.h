#pragma once

#include "engine/text/jinja/callable.h"
#include "engine/text/jinja/text.h"

namespace conclave::engine::text::jinja {

/// text % value, as Python formats: %s %r %d %i %x %o %e %f %g %c %%, flags, width, precision, %(name)s.
Text formatPercent(Interpreter& in, const Text& format, const Value& value);

/// text.format(…): {} {0} {name} {name.attribute[key]!r:>10,.2f}.
Text formatBraces(Interpreter& in, const Text& format, const Args& args);

}  // namespace conclave::engine::text::jinja
