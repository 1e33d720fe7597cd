// A tokenizer.json up to the first NUL byte, then a text: an error, or tokens that give the text's bytes a
// home and never a control token from words that nobody trusts.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "engine/base/utf8.h"
#include "engine/text/detokenizer.h"
#include "engine/text/tokenizer.h"

namespace base = conclave::engine::base;
namespace formats = conclave::engine::formats;
namespace text = conclave::engine::text;

namespace {

void require(bool promise) {
    if (!promise) std::abort();
}

void requireSentence(const base::Error& error) {
    require(error.code != base::Code::Internal && !base::render(error).empty());
}

void tokenize(const text::Tokenizer& tokenizer, const std::string& words, bool trusted) {
    const auto ids = tokenizer.encode(words, trusted, text::AddBos::No);
    if (!ids.ok()) {
        requireSentence(ids.error());
        return;
    }
    require(base::isValidUtf8(words));
    text::Detokenizer stream;
    for (const base::TokenId id : *ids) {
        require(base::toInt(id) >= 0 && static_cast<size_t>(base::toInt(id)) < tokenizer.size());
        const auto kind = tokenizer.spec().kinds[static_cast<size_t>(base::toInt(id))];
        require(trusted || kind != formats::TokenKind::Control);
        require(base::isValidUtf8(stream.push(tokenizer.bytes(id))));
    }
    require(base::isValidUtf8(stream.finish()));
    const auto back = tokenizer.decode(*ids, false);
    require(back.ok() && base::isValidUtf8(*back));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view all(reinterpret_cast<const char*>(data), size);
    const size_t border = std::min(all.find('\0'), all.size());
    const std::string words(all.substr(std::min(border + 1, all.size())));
    auto spec = formats::parseTokenizerJson(all.substr(0, border), "fuzz/tokenizer.json", std::nullopt);
    if (!spec.ok()) {
        requireSentence(spec.error());
        return 0;
    }
    const auto tokenizer = text::Tokenizer::make(std::move(spec).value());
    if (!tokenizer.ok()) {
        requireSentence(tokenizer.error());
        return 0;
    }
    tokenize(*tokenizer, words, false);
    tokenize(*tokenizer, words, true);
    tokenize(*tokenizer, base::replaceInvalidUtf8(words), false);
    return 0;
}
