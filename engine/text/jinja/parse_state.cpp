#include "engine/text/jinja/parse_state.h"

#include "engine/text/jinja/meter.h"
#include "engine/text/jinja/repr.h"

namespace conclave::engine::text::jinja {

void ParseState::unexpected(std::string_view wanted) const {
    if (current().kind == TokenKind::End)
        failSyntax("unexpected end of template, expected " + inQuotes(wanted) + ".", line());
    failSyntax("expected token " + inQuotes(wanted) + ", got " + inQuotes(describe(current())), line());
}

Token ParseState::expect(TokenKind kind, std::string_view what) {
    if (current().kind != kind) unexpected(what);
    return next();
}

void ParseState::expectOperator(std::string_view what) {
    if (!skipOperator(what)) unexpected(what);
}

void ParseState::expectName(std::string_view what) {
    if (!skipName(what)) unexpected(what);
}

void ParseState::enter() {
    if (depth_ >= maxDepth_) failBudget(tooDeep(maxDepth_));
    ++depth_;
}

void ParseState::judge(size_t since, Verdict verdict) {
    for (size_t i = since; i < unknowns_.size(); ++i)
        if (unknowns_[i].verdict == Verdict::Open) unknowns_[i].verdict = verdict;
}

void ParseState::refuseUnknown() const {
    for (const Unknown& it : unknowns_)
        if (it.verdict != Verdict::Allowed) failSyntax(it.message, it.line);
}

}  // namespace conclave::engine::text::jinja
