#pragma once

#include <string_view>
#include <vector>

#include "engine/text/jinja/ast.h"
#include "engine/text/jinja/parse_state.h"

namespace conclave::engine::text::jinja {

/// Recursive descent over expressions, with precedence climbing so that a pair of brackets costs few stack
/// frames. Operators of one precedence become one node. Throws Failure with the line.
class ExpressionParser {
  public:
    explicit ExpressionParser(ParseState& state) : state_(state) {}

    /// With or without `a if b else c`.
    const Expression* expression(bool withConditional = true);
    /// Expressions with commas between them are a tuple. `endName`: a keyword that also ends it.
    const Expression* tuple(bool withConditional = true, std::string_view endName = {},
                            bool inParentheses = false);
    /// What `set`, `for` and `with` assign to.
    Target target(bool withAttribute, std::string_view endName = {});
    /// `| name(arguments) | …` from the current token, or from a name when `startsInline`.
    std::vector<Step> filters(bool startsInline);
    Arguments arguments();

  private:
    const Expression* binary(int least);
    const Expression* operators(const Expression* left, int level);
    const Expression* unary();
    const Expression* primary();
    const Expression* name();
    const Expression* list();
    const Expression* dict();
    Target singleTarget(bool withAttribute);
    void postfix(std::vector<Step>& steps);
    void filtersAndTests(std::vector<Step>& steps);
    Step subscript();
    Step filter();
    Step test();
    const Expression* testArgument();
    void argument(Arguments& out, uint32_t line);
    std::string dottedName();
    const Expression* chain(const Expression* base, std::vector<Step> steps);

    template <class Node> const Expression* make(uint32_t line, Node node) {
        return &state_.program.expressions.emplace_back(Expression{line, std::move(node)});
    }

    ParseState& state_;
};

}  // namespace conclave::engine::text::jinja
