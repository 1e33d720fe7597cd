#include "engine/synth/vocabulary.h"

#include <string>
#include <utility>
#include <vector>

#include "engine/base/utf8.h"
#include "engine/formats/tokenizer_spec.h"

namespace conclave::engine::synth {
namespace {

using formats::GgufArray;
using formats::GgufScalar;
using formats::TextList;

constexpr int32_t kNormal = 1, kControl = 3;  // of tokenizer.ggml.token_type
constexpr uint32_t kBytes = 256;
constexpr uint32_t kEnd = kBytes, kBegin = kBytes + 1;  // ids
constexpr std::string_view kConsonants = "bcdfghjklmnprstvwz", kVowels = "aeiou";

constexpr const char* kTemplate =
    "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant:' }}{% endif %}";

/// The characters that stand for the bytes in byte-level vocabularies.
TextList byteCharacters() {
    TextList out;
    for (uint32_t byte = 0; byte < kBytes; ++byte) {
        std::string text;
        base::appendUtf8(text, formats::byteToAlphabet(static_cast<unsigned char>(byte)));
        out.push_back(text);
    }
    return out;
}

/// The table while it grows.
struct Words {
    uint32_t most;
    TextList tokens, merges;

    /// False when the table is full.
    bool add(const std::string& left, const std::string& right) {
        if (tokens.size() >= most) return false;
        tokens.push_back(left + right);
        merges.push_back(left + " " + right);
        return true;
    }
};

/// Syllables, syllables after a space, then every word of the last length with every syllable behind it.
void addWords(const std::string& space, Words& words) {
    std::vector<std::string> syllables;
    for (const char consonant : kConsonants)
        for (const char vowel : kVowels) {
            if (!words.add({consonant}, {vowel})) return;
            syllables.push_back({consonant, vowel});
        }
    std::vector<std::string> last;
    for (const std::string& syllable : syllables) {
        if (!words.add(space, syllable)) return;
        last.push_back(space + syllable);
    }
    while (true) {
        std::vector<std::string> longer;
        for (const std::string& word : last)
            for (const std::string& syllable : syllables) {
                if (!words.add(word, syllable)) return;
                longer.push_back(word + syllable);
            }
        last = std::move(longer);
    }
}

}  // namespace

formats::GgufMetadata vocabularyKeys(uint32_t tokens, std::string_view pre) {
    CONCLAVE_CHECK(tokens >= kBytes + 44);
    Words words{tokens, byteCharacters(), {}};
    const std::string space(words.tokens[' ']);
    words.tokens.push_back("<|end|>");
    words.tokens.push_back("<|begin|>");
    addWords(space, words);
    std::vector<int32_t> kinds(tokens, kNormal);
    kinds[kEnd] = kinds[kBegin] = kControl;
    return {
        {"tokenizer.ggml.model", GgufScalar(std::string("gpt2"))},
        {"tokenizer.ggml.pre", GgufScalar(std::string(pre))},
        {"tokenizer.ggml.tokens", GgufArray(std::move(words.tokens))},
        {"tokenizer.ggml.token_type", GgufArray(std::move(kinds))},
        {"tokenizer.ggml.merges", GgufArray(std::move(words.merges))},
        {"tokenizer.ggml.bos_token_id", GgufScalar(kBegin)},
        {"tokenizer.ggml.eos_token_id", GgufScalar(kEnd)},
        {"tokenizer.ggml.add_bos_token", GgufScalar(false)},
        {"tokenizer.ggml.add_eos_token", GgufScalar(false)},
        {"tokenizer.chat_template", GgufScalar(std::string(kTemplate))},
    };
}

}  // namespace conclave::engine::synth
