#include "engine/library/tokens_fingerprint.h"

#include "engine/library/content_id.h"
#include "engine/model/base_fingerprint.h"

namespace conclave::engine::library {

std::string tokensFingerprint(const text::Tokenizer& tokenizer) {
    const formats::TokenizerSpec& spec = tokenizer.spec();
    std::string all;
    for (size_t id = 0; id < tokenizer.size(); ++id) {
        if (spec.kinds[id] == formats::TokenKind::Unused) continue;
        const std::string_view bytes = tokenizer.bytes(base::TokenId{static_cast<int32_t>(id)});
        all.append(std::to_string(id) + " " + std::to_string(bytes.size()) + " ").append(bytes);
    }
    return hashOfText(all).substr(0, 16);
}

std::string baseFingerprint(const LoadedModel& base) {
    return model::baseFingerprint(base.model->config,
                                  base.tokenizer ? tokensFingerprint(*base.tokenizer) : std::string());
}

}  // namespace conclave::engine::library
