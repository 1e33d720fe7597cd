#include "engine/synth/vocabulary.h"

#include <gtest/gtest.h>

#include "engine/base/utf8.h"
#include "engine/formats/tokenizer_spec.h"
#include "engine/synth/shape.h"
#include "engine/synth/synth.h"
#include "engine/text/tokenizer.h"

namespace conclave::engine::synth {
namespace {

text::Tokenizer tokenizerOf(const std::string& path) {
    const formats::GgufFile file = openGguf(path).value();
    return text::Tokenizer::make(formats::readGgufVocabulary(file).value()).value();
}

TEST(Vocabulary, WritesAnyTextAndReadsItBack) {
    for (const Shape& shape : shapes()) {
        const text::Tokenizer tokenizer = tokenizerOf("synth:" + std::string(shape.name));
        const std::string text = "Hello, baka  zu\n\tnaïve 日本 42!";
        const auto ids = tokenizer.encode(text, false, text::AddBos::No);
        ASSERT_TRUE(ids.ok()) << shape.name;
        std::string back;
        for (const base::TokenId id : *ids)
            back += tokenizer.bytes(id);
        EXPECT_EQ(back, text) << shape.name;
    }
}

TEST(Vocabulary, HasWordsBehindItsBytes) {
    const text::Tokenizer tokenizer = tokenizerOf("synth:olmoe-1b-7b");
    EXPECT_EQ(tokenizer.size(), 50304u);
    for (int32_t id = 258; id < 50304; ++id) {
        const std::string word(tokenizer.bytes(base::TokenId{id}));
        ASSERT_TRUE(!word.empty() && base::isValidUtf8(word));
    }
    const auto ids = tokenizer.encode(" baka", false, text::AddBos::No);
    ASSERT_TRUE(ids.ok());
    EXPECT_EQ(ids->size(), 1u);
}

}  // namespace
}  // namespace conclave::engine::synth
