#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/text/jinja/ast.h"
#include "engine/text/jinja/lexer.h"

namespace conclave::engine::text::jinja {

/// What the parser of expressions and the parser of statements share: the tokens, the program under
/// construction, and what has been noticed on the way.
class ParseState {
  public:
    ParseState(std::vector<Token> tokens, Program& program, uint32_t maxDepth)
        : program(program), tokens_(std::move(tokens)), maxDepth_(maxDepth) {}

    const Token& current() const { return tokens_[at_]; }
    const Token& look() const { return tokens_[at_ + 1 < tokens_.size() ? at_ + 1 : at_]; }
    uint32_t line() const { return current().line; }
    Token next() { return at_ + 1 < tokens_.size() ? std::move(tokens_[at_++]) : tokens_[at_]; }
    bool isOperator(std::string_view what) const {
        return current().kind == TokenKind::Operator && current().value == what;
    }
    bool isName(std::string_view what) const {
        return current().kind == TokenKind::Name && current().value == what;
    }
    bool skipOperator(std::string_view what) { return isOperator(what) && (next(), true); }
    bool skipName(std::string_view what) { return isName(what) && (next(), true); }
    Token expect(TokenKind kind, std::string_view what);
    void expectOperator(std::string_view what);
    void expectName(std::string_view what);

    /// Nested syntax; the budget bounds the stack of the recursive descent.
    class Nesting {
      public:
        explicit Nesting(ParseState& state) : state_(state) { state_.enter(); }
        ~Nesting() { --state_.depth_; }
        Nesting(const Nesting&) = delete;
        Nesting& operator=(const Nesting&) = delete;

      private:
        ParseState& state_;
    };

    /// A filter or test without a row. In the branch of an `if` it is an error only when it is reached, as in
    /// Jinja, so that a template can avoid what it has asked for with `is filter`.
    void unknown(std::string message, uint32_t line) {
        unknowns_.push_back({std::move(message), line, Verdict::Open});
    }
    size_t unknownCount() const { return unknowns_.size(); }
    void allowUnknownSince(size_t count) { judge(count, Verdict::Allowed); }
    void forbidUnknownSince(size_t count) { judge(count, Verdict::Forbidden); }
    /// At the end of the template.
    void refuseUnknown() const;

    /// Macros being parsed, outermost first: they learn whether their bodies use caller, kwargs and varargs.
    std::vector<MacroNode*> macros;
    Program& program;

  private:
    enum class Verdict : uint8_t { Open, Allowed, Forbidden };
    struct Unknown {
        std::string message;
        uint32_t line = 0;
        Verdict verdict = Verdict::Open;
    };
    void judge(size_t since, Verdict verdict);
    void enter();
    [[noreturn]] void unexpected(std::string_view wanted) const;

    std::vector<Token> tokens_;
    size_t at_ = 0;
    uint32_t maxDepth_;
    uint32_t depth_ = 0;
    std::vector<Unknown> unknowns_;
};

}  // namespace conclave::engine::text::jinja
