#include "engine/text/jinja/lexer.h"

#include <algorithm>
#include <array>

#include "engine/base/utf8.h"
#include "engine/text/jinja/literal.h"
#include "engine/text/jinja/meter.h"
#include "engine/text/jinja/repr.h"
#include "engine/text/jinja/unicode.h"

namespace conclave::engine::text::jinja {
namespace {

// Longest first.
constexpr std::array<std::string_view, 26> kOperators = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/",
                                                         "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                                         ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};

/// \r\n and \r become \n, and one newline at the end is dropped.
std::string normalised(std::string_view source) {
    std::string out;
    out.reserve(source.size());
    for (size_t i = 0; i < source.size(); ++i) {
        if (source[i] != '\r') {
            out.push_back(source[i]);
        } else {
            out.push_back('\n');
            if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
        }
    }
    if (!out.empty() && out.back() == '\n') out.pop_back();
    return out;
}

class Lexer {
  public:
    explicit Lexer(std::string_view source) : text_(normalised(source)) {}

    std::vector<Token> run() {
        while (at_ < text_.size())
            root();
        emit(TokenKind::End, "");
        return std::move(tokens_);
    }

  private:
    std::string_view rest() const { return std::string_view(text_).substr(at_); }
    bool looksAt(std::string_view what) const { return rest().substr(0, what.size()) == what; }

    Token& emit(TokenKind kind, std::string value) {
        tokens_.push_back({kind, line_, std::move(value), 0, 0});
        return tokens_.back();
    }
    /// Moves on, counts lines, and notes whether a line begins here.
    void advance(size_t count) {
        const std::string_view passed = rest().substr(0, count);
        line_ += static_cast<uint32_t>(std::count(passed.begin(), passed.end(), '\n'));
        lineStarts_ = !passed.empty() && passed.back() == '\n';
        at_ += count;
    }
    void advanceOverSpace() {
        const size_t to = skipSpaceLeft(text_, at_);
        if (to > at_) advance(to - at_);
    }

    /// Text up to the next tag, and the tag's beginning.
    void root() {
        size_t tag = text_.find('{', at_);
        while (tag != std::string::npos && !opensAt(tag))
            tag = text_.find('{', tag + 1);
        if (tag == std::string::npos) {
            emit(TokenKind::Data, std::string(rest()));
            at_ = text_.size();
            return;
        }
        const char type = text_[tag + 1];
        const char sign = tag + 2 < text_.size() ? text_[tag + 2] : '\0';
        data(tag, sign, type != '{');
        advance(sign == '-' || sign == '+' ? 3 : 2);
        if (type == '#')
            comment();
        else if (type == '{')
            tagContents(TokenKind::VariableBegin, TokenKind::VariableEnd);
        else if (!raw())
            tagContents(TokenKind::BlockBegin, TokenKind::BlockEnd);
    }

    bool opensAt(size_t at) const {
        return at + 1 < text_.size() &&
               (text_[at + 1] == '%' || text_[at + 1] == '{' || text_[at + 1] == '#');
    }

    /// The data before a tag: a '-' takes all white space before it, lstrip_blocks the blanks from the line's
    /// beginning.
    void data(size_t end, char sign, bool isBlock) {
        const std::string_view whole = rest().substr(0, end - at_);
        std::string_view kept = whole;
        if (sign == '-') {
            kept = whole.substr(0, skipSpaceRight(whole));
        } else if (sign != '+' && isBlock) {
            const size_t newline = whole.rfind('\n');
            const size_t lineStart = newline == std::string_view::npos ? 0 : newline + 1;
            if ((lineStart > 0 || lineStarts_) && skipSpaceLeft(whole, lineStart) == whole.size())
                kept = whole.substr(0, lineStart);
        }
        if (!kept.empty()) emit(TokenKind::Data, std::string(kept));
        advance(whole.size());
    }

    /// What follows the end of a block: '-' takes all white space, trim_blocks one newline.
    void blockSuffix(char sign) {
        if (sign == '-')
            advanceOverSpace();
        else if (sign != '+' && looksAt("\n"))
            advance(1);
    }

    void comment() {
        const size_t end = text_.find("#}", at_);
        if (end == std::string::npos) failSyntax("Missing end of comment tag", line_);
        const char sign = end > at_ ? text_[end - 1] : '\0';
        advance(end + 2 - at_);
        blockSuffix(sign);
    }

    /// After "{%": a raw block, if it is one.
    bool raw() {
        size_t at = skipSpaceLeft(text_, at_);
        if (text_.compare(at, 3, "raw") != 0) return false;
        at = skipSpaceLeft(text_, at + 3);
        const bool strips = text_.compare(at, 3, "-%}") == 0;
        if (!strips && text_.compare(at, 2, "%}") != 0) return false;
        advance(at + (strips ? 3 : 2) - at_);
        if (strips) advanceOverSpace();
        for (size_t open = text_.find("{%", at_); open != std::string::npos;
             open = text_.find("{%", open + 2)) {
            const char sign = open + 2 < text_.size() ? text_[open + 2] : '\0';
            size_t end = skipSpaceLeft(text_, open + (sign == '-' || sign == '+' ? 3 : 2));
            if (text_.compare(end, 6, "endraw") != 0) continue;
            end = skipSpaceLeft(text_, end + 6);
            const char endSign =
                end < text_.size() && (text_[end] == '-' || text_[end] == '+') ? text_[end] : '\0';
            if (endSign != '\0') ++end;
            if (text_.compare(end, 2, "%}") != 0) continue;
            data(open, sign, true);
            advance(end + 2 - at_);
            blockSuffix(endSign);
            return true;
        }
        failSyntax("Missing end of raw directive", line_);
    }

    /// Tokens up to the end of the tag. Where brackets are open, }} and %} are operators.
    void tagContents(TokenKind begin, TokenKind end) {
        emit(begin, "");
        const std::string_view close = begin == TokenKind::VariableBegin ? "}}" : "%}";
        while (at_ < text_.size()) {
            if (open_.empty() && tagEnds(close)) {
                const char sign = looksAt(close) ? '\0' : text_[at_];
                emit(end, "");
                advance(close.size() + (sign != '\0' ? 1 : 0));
                if (sign == '-')
                    advanceOverSpace();
                else if (end == TokenKind::BlockEnd)
                    blockSuffix(sign);
                return;
            }
            token();
        }
    }

    bool tagEnds(std::string_view close) const {
        if (looksAt(close)) return true;
        const bool signedEnd = looksAt("-") || (close == "%}" && looksAt("+"));
        return signedEnd && rest().substr(1, 2) == close;
    }

    void token() {
        const size_t space = skipSpaceLeft(text_, at_);
        if (space > at_) return advance(space - at_);
        const char c = text_[at_];
        if (c >= '0' && c <= '9') return number();
        if (c == '"' || c == '\'') {
            if (string(c)) return;
        }
        if (size_t length = nameLength(); length > 0) {
            emit(TokenKind::Name, std::string(rest().substr(0, length)));
            return advance(length);
        }
        for (const std::string_view name : kOperators)
            if (looksAt(name)) {
                balance(name);
                emit(TokenKind::Operator, std::string(name));
                return advance(name.size());
            }
        size_t end = at_;
        base::nextCodePoint(text_, end);
        failSyntax("unexpected char " + inQuotes(rest().substr(0, end - at_)) + " at " +
                       std::to_string(countCharacters(std::string_view(text_).substr(0, at_))),
                   line_);
    }

    size_t nameLength() const {
        size_t end = at_;
        while (end < text_.size()) {
            size_t next = end;
            const char32_t c = base::nextCodePoint(text_, next);
            if (!isWord(c) || (end == at_ && isNumeric(c))) break;
            end = next;
        }
        return end - at_;
    }

    void number() {
        const bool afterDot = at_ > 0 && text_[at_ - 1] == '.';
        const NumberLiteral literal = scanNumber(rest(), !afterDot);
        if (literal.tooBig) failSyntax("integer of more than 64 bits", line_);
        Token& token = emit(literal.isFloat ? TokenKind::Float : TokenKind::Integer,
                            std::string(rest().substr(0, literal.length)));
        token.integer = literal.integer;
        token.number = literal.number;
        advance(literal.length);
    }

    /// False: no closing quote, the quote is an unexpected character then.
    bool string(char quote) {
        size_t end = at_ + 1;
        while (end < text_.size() && text_[end] != quote)
            end += text_[end] == '\\' ? 2 : 1;
        if (end >= text_.size()) return false;
        emit(TokenKind::String, unescape(std::string_view(text_).substr(at_ + 1, end - at_ - 1), line_));
        advance(end + 1 - at_);
        return true;
    }

    void balance(std::string_view op) {
        if (op == "{" || op == "(" || op == "[") {
            open_.push_back(op == "{" ? '}' : op == "(" ? ')' : ']');
        } else if (op == "}" || op == ")" || op == "]") {
            if (open_.empty()) failSyntax("unexpected '" + std::string(op) + "'", line_);
            if (open_.back() != op[0])
                failSyntax("unexpected '" + std::string(op) + "', expected '" + open_.back() + "'", line_);
            open_.pop_back();
        }
    }

    const std::string text_;
    std::vector<Token> tokens_;
    size_t at_ = 0;
    uint32_t line_ = 1;
    bool lineStarts_ = true;
    std::string open_;  // closing brackets that are due
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) {
    return Lexer(source).run();
}

std::string describe(const Token& token) {
    switch (token.kind) {
    case TokenKind::Data:
        return "template data / text";
    case TokenKind::VariableBegin:
        return "begin of print statement";
    case TokenKind::VariableEnd:
        return "end of print statement";
    case TokenKind::BlockBegin:
        return "begin of statement block";
    case TokenKind::BlockEnd:
        return "end of statement block";
    case TokenKind::End:
        return "end of template";
    case TokenKind::String:
        return "string";
    case TokenKind::Integer:
        return "integer";
    case TokenKind::Float:
        return "float";
    case TokenKind::Name:
    case TokenKind::Operator:
        break;
    }
    return token.value;
}

}  // namespace conclave::engine::text::jinja
