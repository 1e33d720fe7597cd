#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace conclave::engine::text::jinja {

enum class TokenKind : uint8_t {
    Data,           ///< text outside of tags, white space control done
    VariableBegin,  ///< {{
    VariableEnd,
    BlockBegin,  ///< {%
    BlockEnd,
    Name,
    String,  ///< value: the unescaped text
    Integer,
    Float,
    Operator,  ///< value: its characters
    End,
};

struct Token {
    TokenKind kind = TokenKind::End;
    uint32_t line = 1;
    std::string value;
    int64_t integer = 0;
    double number = 0;
};

/// Cuts a template into tokens as Jinja2 does with trim_blocks and lstrip_blocks, without
/// keep_trailing_newline; comments are gone and raw blocks are data. The last token is End. The source must
/// be valid UTF-8. Throws Failure (TemplateSyntax) with the line.
std::vector<Token> tokenize(std::string_view source);

/// How Jinja's messages name a token.
std::string describe(const Token& token);

}  // namespace conclave::engine::text::jinja
