// Small tokenizers of every kind against what Hugging Face's own library makes of a corpus
// (make_hf_cases.py).
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/text/tokenizer.h"

namespace conclave::engine::text {
namespace {

const nlohmann::json& fixture() {
    static const nlohmann::json loaded = [] {
        std::ifstream in(CONCLAVE_SOURCE_DIR "/tests/fixtures/tokenizer/hf_cases.json");
        EXPECT_TRUE(in.good());
        return nlohmann::json::parse(in);
    }();
    return loaded;
}

std::string idsOf(const Tokenizer& tokenizer, const std::string& text, bool parseControl) {
    const auto ids = tokenizer.encode(text, parseControl, AddBos::No);
    if (!ids.ok()) return base::render(ids.error());
    std::ostringstream out;
    for (size_t i = 0; i < ids->size(); ++i)
        out << (i ? " " : "") << base::toInt((*ids)[i]);
    return out.str();
}

class HfCase : public testing::TestWithParam<size_t> {};

TEST_P(HfCase, GivesTheSameTokens) {
    const nlohmann::json& one = fixture().at("cases").at(GetParam());
    SCOPED_TRACE(one.at("name").get<std::string>());
    auto spec = formats::parseTokenizerJson(one.at("tokenizer").dump(), "case", std::nullopt);
    ASSERT_TRUE(spec.ok()) << base::render(spec.error());
    const auto tokenizer = Tokenizer::make(std::move(spec).value());
    ASSERT_TRUE(tokenizer.ok()) << base::render(tokenizer.error());
    const auto& texts = fixture().at("texts");
    for (size_t i = 0; i < texts.size(); ++i) {
        const auto text = texts[i].get<std::string>();
        EXPECT_EQ(idsOf(*tokenizer, text, true), one.at("parsed")[i].get<std::string>()) << texts[i];
        EXPECT_EQ(idsOf(*tokenizer, text, false), one.at("plain")[i].get<std::string>())
            << texts[i] << ", as plain text";
        const auto ids = tokenizer->encode(text, true, AddBos::No);
        EXPECT_EQ(*tokenizer->decode(*ids, false), one.at("decoded")[i].get<std::string>()) << texts[i];
    }
}

INSTANTIATE_TEST_SUITE_P(All, HfCase, testing::Range(size_t{0}, fixture().at("cases").size()));

}  // namespace
}  // namespace conclave::engine::text
