#include "engine/text/jinja/parser.h"

#include <algorithm>
#include <initializer_list>
#include <utility>

#include "engine/text/jinja/expression_parser.h"
#include "engine/text/jinja/meter.h"
#include "engine/text/jinja/parse_state.h"
#include "engine/text/jinja/repr.h"

namespace conclave::engine::text::jinja {
namespace {

using EndTags = std::vector<std::string_view>;

class StatementParser {
  public:
    StatementParser(ParseState& state) : state_(state), expressions_(state) {}

    Body whole() {
        Body out = body({});
        state_.refuseUnknown();
        return out;
    }

  private:
    using Parse = void (StatementParser::*)();
    struct TagRow {
        std::string_view name;
        Parse parse;
    };
    static const TagRow* findTag(std::string_view name);

    // --- bodies ---

    /// Statements up to one of the end tags, which is left as the current token, or to the end of the
    /// template.
    Body body(const EndTags& ends) {
        const ParseState::Nesting nesting(state_);
        ends_.push_back(ends);
        Body out;
        std::swap(out, body_);
        bool ended = false;
        while (!ended && state_.current().kind != TokenKind::End)
            ended = piece(ends);
        std::swap(out, body_);
        ends_.pop_back();
        if (!ended && !ends.empty()) unexpectedTag(nullptr, ends);
        return out;
    }

    /// One token's worth of a body; true at an end tag.
    bool piece(const EndTags& ends) {
        const uint32_t line = state_.line();
        if (state_.current().kind == TokenKind::Data) {
            output(line).parts.push_back({state_.program.text(state_.next().value), nullptr});
            return false;
        }
        if (state_.current().kind == TokenKind::VariableBegin) {
            state_.next();
            const Expression* value = expressions_.tuple();
            output(line).parts.push_back({TextRef(), value});
            state_.expect(TokenKind::VariableEnd, "end of print statement");
            return false;
        }
        state_.expect(TokenKind::BlockBegin, "begin of statement block");
        if (std::any_of(ends.begin(), ends.end(),
                        [this](std::string_view end) { return state_.isName(end); }))
            return true;
        statement();
        state_.expect(TokenKind::BlockEnd, "end of statement block");
        return false;
    }

    /// The Output that text at this place is added to.
    Output& output(uint32_t line) {
        if (body_.empty() || body_.back() != last_ || !std::holds_alternative<Output>(last_->node))
            add(line, Output{});
        return std::get<Output>(last_->node);
    }

    template <class Node> void add(uint32_t line, Node node) {
        last_ = &state_.program.statements.emplace_back(Statement{line, std::move(node)});
        body_.push_back(last_);
    }

    /// The body of a tag: from its end to one of the end tags, whose name is returned and passed.
    std::string block(Body& out, const EndTags& ends) {
        state_.skipOperator(":");
        state_.expect(TokenKind::BlockEnd, "end of statement block");
        out = body(ends);
        return state_.next().value;
    }

    /// The same with variables of its own. Unknown filters in it are errors even under an `if` around it, as
    /// in Jinja.
    std::string scope(Body& out, const EndTags& ends) {
        const size_t unknowns = state_.unknownCount();
        std::string end = block(out, ends);
        state_.forbidUnknownSince(unknowns);
        return end;
    }

    void statement() {
        const Token& token = state_.current();
        if (token.kind != TokenKind::Name) failSyntax("tag name expected", token.line);
        const TagRow* row = findTag(token.value);
        if (!row) unexpectedTag(&token, ends_.back());
        line_ = token.line;
        open_.push_back(row->name);
        state_.next();
        (this->*row->parse)();
        open_.pop_back();
    }

    /// Jinja's sentence about a tag that is not known or not due, or about the end of the template.
    [[noreturn]] void unexpectedTag(const Token* tag, const EndTags& looking) {
        std::string message =
            tag ? "Encountered unknown tag " + inQuotes(tag->value) + "." : "Unexpected end of template.";
        std::string due;
        for (const std::string_view end : looking)
            due += (due.empty() ? "" : " or ") + inQuotes(end);
        const auto isDue = [tag](const EndTags& ends) {
            return std::find(ends.begin(), ends.end(), tag->value) != ends.end();
        };
        if (!due.empty() && tag && std::any_of(ends_.begin(), ends_.end(), isDue))
            message += " You probably made a nesting mistake. Jinja is expecting this tag, but currently "
                       "looking for " +
                       due + ".";
        else if (!due.empty())
            message += " Jinja was looking for the following tags: " + due + ".";
        if (!open_.empty())
            message += " The innermost block that needs to be closed is " + inQuotes(open_.back()) + ".";
        failSyntax(message, state_.line());
    }

    // --- tags; the name has been passed, line_ is its line ---

    void parseIf() {
        const uint32_t line = line_;
        const size_t unknowns = state_.unknownCount();
        If node;
        std::string end = "elif";
        while (end == "elif") {
            If::Branch branch;
            branch.test = expressions_.tuple(false);
            end = block(branch.body, {"elif", "else", "endif"});
            node.branches.push_back(std::move(branch));
        }
        if (end == "else") block(node.branches.emplace_back().body, {"endif"});
        state_.allowUnknownSince(unknowns);
        add(line, std::move(node));
    }

    void parseFor() {
        const uint32_t line = line_;
        For node;
        node.target = expressions_.target(false, "in");
        if (assignsLoop(node.target))
            failSyntax("Can't assign to special loop variable in for-loop target", line);
        state_.expectName("in");
        node.iterable = expressions_.tuple(false, "recursive");
        const size_t unknowns = state_.unknownCount();
        if (state_.skipName("if")) node.test = expressions_.expression();
        state_.forbidUnknownSince(unknowns);
        node.recursive = state_.skipName("recursive");
        ++loops_;
        const std::string end = scope(node.body, {"endfor", "else"});
        --loops_;
        if (end == "else") scope(node.otherwise, {"endfor"});
        add(line, std::move(node));
    }

    bool assignsLoop(const Target& target) const {
        if (target.kind == TargetKind::Variable)
            return state_.program.symbols[target.symbol]->view() == "loop";
        return std::any_of(target.items.begin(), target.items.end(),
                           [this](const Target& it) { return assignsLoop(it); });
    }

    void parseSet() {
        const uint32_t line = line_;
        Target target = expressions_.target(true);
        if (state_.skipOperator("=")) {
            Assign node{std::move(target), nullptr};
            node.value = expressions_.tuple();
            return add(line, std::move(node));
        }
        AssignBlock node{std::move(target), expressions_.filters(false), {}};
        scope(node.body, {"endset"});
        add(line, std::move(node));
    }

    void parameters(MacroNode& macro) {
        state_.expectOperator("(");
        while (!state_.isOperator(")")) {
            if (!macro.parameters.empty()) state_.expectOperator(",");
            const Token name = state_.expect(TokenKind::Name, "name");
            MacroNode::Parameter parameter{state_.program.symbol(name.value), nullptr};
            if (state_.skipOperator("="))
                parameter.byDefault = expressions_.expression();
            else if (!macro.parameters.empty() && macro.parameters.back().byDefault)
                failSyntax("non-default argument follows default argument", name.line);
            macro.parameters.push_back(parameter);
        }
        state_.expectOperator(")");
    }

    void macroBody(MacroNode& macro, std::string_view end) {
        const size_t loops =
            std::exchange(loops_, 0);  // a break in a macro does not reach the loop around it
        state_.macros.push_back(&macro);
        scope(macro.body, {end});
        state_.macros.pop_back();
        loops_ = loops;
        const auto isParameter = [&](std::string_view name) {
            return std::any_of(macro.parameters.begin(), macro.parameters.end(),
                               [&](const MacroNode::Parameter& it) {
                                   return state_.program.symbols[it.symbol]->view() == name;
                               });
        };
        macro.usesCaller = macro.usesCaller && !isParameter("caller");
        macro.usesKwargs = macro.usesKwargs && !isParameter("kwargs");
        macro.usesVarargs = macro.usesVarargs && !isParameter("varargs");
    }

    void parseMacro() {
        const uint32_t line = line_;
        MacroNode node;
        node.name = state_.program.symbol(state_.expect(TokenKind::Name, "name").value);
        parameters(node);
        macroBody(node, "endmacro");
        add(line, std::move(node));
    }

    void parseCall() {
        const uint32_t line = line_;
        CallBlock node;
        node.caller.name = state_.program.symbol("caller");
        node.caller.anonymous = true;
        if (state_.isOperator("(")) parameters(node.caller);
        node.call = expressions_.expression();
        const auto* chain = std::get_if<Chain>(&node.call->node);
        if (!chain || chain->steps.back().kind != StepKind::Call) failSyntax("expected call", line);
        macroBody(node.caller, "endcall");
        add(line, std::move(node));
    }

    void parseFilter() {
        const uint32_t line = line_;
        FilterBlock node;
        node.filters = expressions_.filters(true);
        scope(node.body, {"endfilter"});
        add(line, std::move(node));
    }

    void parseWith() {
        const uint32_t line = line_;
        With node;
        while (state_.current().kind != TokenKind::BlockEnd) {
            if (!node.variables.empty()) state_.expectOperator(",");
            Target target = expressions_.target(false);
            state_.expectOperator("=");
            const Expression* value = expressions_.expression();
            node.variables.emplace_back(std::move(target), value);
        }
        scope(node.body, {"endwith"});
        add(line, std::move(node));
    }

    void parsePrint() {
        const uint32_t line = line_;
        Output node;
        while (state_.current().kind != TokenKind::BlockEnd) {
            if (!node.parts.empty()) state_.expectOperator(",");
            node.parts.push_back({TextRef(), expressions_.expression()});
        }
        add(line, std::move(node));
    }

    void parseBlock() {
        const uint32_t line = line_;
        const std::string name = state_.expect(TokenKind::Name, "name").value;
        state_.skipName("scoped");
        state_.skipName("required");
        Scoped node;
        scope(node.body, {"endblock"});
        state_.skipName(name);
        add(line, std::move(node));
    }

    void parseGeneration() {
        const uint32_t line = line_;
        Scoped node;
        const size_t loops = std::exchange(loops_, 0);  // its body is a call block in Jinja
        scope(node.body, {"endgeneration"});
        loops_ = loops;
        add(line, std::move(node));
    }

    void parseAutoescape() {
        const uint32_t line = line_;
        const Expression* mode = expressions_.expression();
        const auto* literal = std::get_if<Literal>(&mode->node);
        if (!literal || truth(literal->value))
            failSyntax("a chat template is not HTML: only autoescape false is possible", line);
        Scoped node;
        scope(node.body, {"endautoescape"});
        add(line, std::move(node));
    }

    void jump(bool breaks) {
        if (loops_ == 0)
            failSyntax(breaks ? "'break' outside loop" : "'continue' not properly in loop", line_);
        add(line_, Jump{breaks});
    }
    void parseBreak() { jump(true); }
    void parseContinue() { jump(false); }

    void refuse() {
        failSyntax("the tag " + inQuotes(open_.back()) +
                       " is not available: a chat template has no access to other templates",
                   line_);
    }

    ParseState& state_;
    ExpressionParser expressions_;
    Body body_;                           // under construction
    Statement* last_ = nullptr;           // that was added to any body
    std::vector<EndTags> ends_;           // what the bodies around look for
    std::vector<std::string_view> open_;  // tags around
    size_t loops_ = 0;
    uint32_t line_ = 1;
};

const StatementParser::TagRow* StatementParser::findTag(std::string_view name) {
    static constexpr TagRow kTags[] = {
        {"if", &StatementParser::parseIf},
        {"for", &StatementParser::parseFor},
        {"set", &StatementParser::parseSet},
        {"macro", &StatementParser::parseMacro},
        {"call", &StatementParser::parseCall},
        {"filter", &StatementParser::parseFilter},
        {"with", &StatementParser::parseWith},
        {"print", &StatementParser::parsePrint},
        {"block", &StatementParser::parseBlock},
        {"generation", &StatementParser::parseGeneration},
        {"autoescape", &StatementParser::parseAutoescape},
        {"break", &StatementParser::parseBreak},
        {"continue", &StatementParser::parseContinue},
        {"extends", &StatementParser::refuse},
        {"include", &StatementParser::refuse},
        {"import", &StatementParser::refuse},
        {"from", &StatementParser::refuse},
    };
    for (const TagRow& row : kTags)
        if (row.name == name) return &row;
    return nullptr;
}

}  // namespace

void parse(std::string_view source, uint32_t maxDepth, Program& program) {
    ParseState state(tokenize(source), program, maxDepth);
    program.body = StatementParser(state).whole();
}

}  // namespace conclave::engine::text::jinja
