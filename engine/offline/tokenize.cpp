#include "engine/offline/tokenize.h"

#include "engine/library/library.h"

namespace conclave::engine::offline {

base::Result<std::vector<base::TokenId>> tokenize(const std::string& path, std::string_view text,
                                                  SpecialTokens special) {
    CONCLAVE_TRY(const library::ModelParts parts, library::openParts(path));
    const bool parse = special == SpecialTokens::Parsed;
    return parts.tokenizer->encode(text, parse, parse ? text::AddBos::IfWanted : text::AddBos::No);
}

}  // namespace conclave::engine::offline
