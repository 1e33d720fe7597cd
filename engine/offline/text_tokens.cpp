#include "engine/offline/text_tokens.h"

#include <algorithm>

#include "engine/platform/file.h"
#include "engine/text/tokenizer.h"

namespace conclave::engine::offline {

using base::Code;
using base::Error;

base::Result<std::vector<base::TokenId>> textTokens(const std::string& path, uint32_t most,
                                                    const library::LoadedModel& model) {
    if (most < 2) return Error{Code::BadArgument, "", "--tokens", {"must be at least 2"}};
    if (model.tokenizer == nullptr)
        return Error{Code::BadArgument, model.path, "--text", {"needs a model with a tokenizer"}};
    CONCLAVE_TRY(const std::string text, platform::readTextFile(path, uint64_t{256} << 20));
    CONCLAVE_TRY(std::vector<base::TokenId> tokens,
                 model.tokenizer->encode(text, false, text::AddBos::IfWanted));
    if (tokens.size() < 2) return Error{Code::BadArgument, path, "--text", {"has fewer than two tokens"}};
    tokens.resize(std::min<size_t>(tokens.size(), most));
    return tokens;
}

}  // namespace conclave::engine::offline
