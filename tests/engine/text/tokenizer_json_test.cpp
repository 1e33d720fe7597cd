// tokenizer.json and tokenizer_config.json: what is read, and the sentence for what cannot be.
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "engine/text/tokenizer.h"

namespace conclave::engine::text {
namespace {

using base::Code;
using nlohmann::json;

std::string alphabetOf(unsigned byte) {
    std::string out;
    const char32_t c = formats::byteToAlphabet(static_cast<unsigned char>(byte));
    out += c < 0x80 ? std::string(1, static_cast<char>(c))
                    : std::string{static_cast<char>(0xC0 | (c >> 6)), static_cast<char>(0x80 | (c & 0x3F))};
    return out;
}

/// A small whole tokenizer: bytes, "ab", "abc", and three added tokens.
json sample() {
    json vocab = json::object();
    for (unsigned b = 0; b < 256; ++b)
        vocab[alphabetOf(b)] = b;
    vocab["ab"] = 256;
    vocab["abc"] = 257;
    const auto added = [](int id, const char* text, bool special) {
        return json{{"id", id},        {"content", text},     {"single_word", false}, {"lstrip", false},
                    {"rstrip", false}, {"normalized", false}, {"special", special}};
    };
    return {{"version", "1.0"},
            {"added_tokens", {added(258, "<s>", true), added(259, "</s>", true), added(260, "[x]", false)}},
            {"normalizer", nullptr},
            {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}},
            {"post_processor", nullptr},
            {"decoder", {{"type", "ByteLevel"}}},
            {"model",
             {{"type", "BPE"},
              {"dropout", nullptr},
              {"unk_token", nullptr},
              {"vocab", vocab},
              {"merges", {"a b", json::array({"ab", "c"})}}}}};
}

base::Result<formats::TokenizerSpec> parse(const json& document,
                                           const std::optional<std::string>& config = std::nullopt) {
    return formats::parseTokenizerJson(document.dump(), "t/tokenizer.json", config);
}

json templateOf(std::vector<json> single, json tokens) {
    return {{"type", "TemplateProcessing"},
            {"single", std::move(single)},
            {"pair", json::array()},
            {"special_tokens", std::move(tokens)}};
}
const json kText = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
const json kBegin = {{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}};
const json kEnd = {{"SpecialToken", {{"id", "</s>"}, {"type_id", 0}}}};
const json kTokens = {{"<s>", {{"id", "<s>"}, {"ids", {258}}, {"tokens", {"<s>"}}}},
                      {"</s>", {{"id", "</s>"}, {"ids", {259}}, {"tokens", {"</s>"}}}}};

TEST(TokenizerJson, ReadsAWholeOne) {
    auto spec = parse(
        sample(),
        R"({"bos_token": {"content": "<s>"}, "eos_token": "</s>", "add_bos_token": true, "legacy": false})");
    ASSERT_TRUE(spec.ok()) << base::render(spec.error());
    EXPECT_EQ(spec->tokens.size(), 261u);
    EXPECT_EQ(spec->merges.size(), 2u);
    EXPECT_EQ(base::toInt(*spec->bos), 258);
    EXPECT_EQ(spec->endTokens.size(), 1u);
    EXPECT_EQ(spec->kinds[260], formats::TokenKind::UserDefined);
    const auto tokenizer = Tokenizer::make(std::move(spec).value());
    ASSERT_TRUE(tokenizer.ok());
    const auto ids = tokenizer->encode("abc<s>[x]", true, AddBos::IfWanted);
    std::vector<int> out;
    for (const auto id : *ids)
        out.push_back(base::toInt(id));
    EXPECT_EQ(out, (std::vector<int>{258, 257, 258, 260}));
}

TEST(TokenizerJson, BosFromTheTemplateUnlessTheConfigSays) {
    json document = sample();
    document["post_processor"] = {
        {"type", "Sequence"},
        {"processors", {{{"type", "ByteLevel"}}, templateOf({kBegin, kText, kEnd}, kTokens)}}};
    auto spec = parse(document);
    ASSERT_TRUE(spec.ok()) << base::render(spec.error());
    EXPECT_TRUE(spec->addBos && spec->addEos);
    EXPECT_EQ(base::toInt(*spec->bos), 258);
    EXPECT_EQ(base::toInt(*spec->eos), 259);
    spec = parse(document, R"({"add_bos_token": false})");
    ASSERT_TRUE(spec.ok());
    EXPECT_FALSE(spec->addBos);
}

TEST(TokenizerJson, HolesBetweenIdsAreUnused) {
    json document = sample();
    document["added_tokens"].push_back({{"id", 270}, {"content", "<late>"}, {"special", true}});
    const auto spec = parse(document);
    ASSERT_TRUE(spec.ok()) << base::render(spec.error());
    EXPECT_EQ(spec->tokens.size(), 271u);
    EXPECT_EQ(spec->kinds[265], formats::TokenKind::Unused);
}

struct Broken {
    const char* name;
    Code code;
    const char* place;  ///< part of the rendered sentence
    std::function<void(json&)> breakIt;
};

class BrokenTokenizer : public testing::TestWithParam<Broken> {};

TEST_P(BrokenTokenizer, IsASentenceWithItsField) {
    json document = sample();
    GetParam().breakIt(document);
    const auto spec = parse(document);
    ASSERT_FALSE(spec.ok());
    const std::string sentence = base::render(spec.error());
    EXPECT_EQ(spec.error().code, GetParam().code) << sentence;
    EXPECT_NE(sentence.find(GetParam().place), std::string::npos) << sentence;
    EXPECT_NE(sentence.find("t/tokenizer.json"), std::string::npos) << sentence;
}

json step(const char* type) {
    return {{"type", type}};
}

const Broken kBroken[] = {
    {"NoModel", Code::MissingKey, "model", [](json& d) { d.erase("model"); }},
    {"ModelIsText", Code::WrongType, "model", [](json& d) { d["model"] = "x"; }},
    {"Unigram", Code::UnsupportedTokenizer, "BPE is", [](json& d) { d["model"]["type"] = "Unigram"; }},
    {"WordPiece", Code::UnsupportedTokenizer, "WordPiece", [](json& d) { d["model"]["type"] = "WordPiece"; }},
    {"NoMerges", Code::MissingKey, "model.merges", [](json& d) { d["model"].erase("merges"); }},
    {"NoVocabulary", Code::MissingKey, "model.vocab", [](json& d) { d["model"].erase("vocab"); }},
    {"VocabularyIsList", Code::WrongType, "model.vocab",
     [](json& d) { d["model"]["vocab"] = json::array({"a"}); }},
    {"IdIsText", Code::WrongType, "model.vocab.ab", [](json& d) { d["model"]["vocab"]["ab"] = "1"; }},
    {"IdIsNegative", Code::ValueOutOfRange, "model.vocab.ab",
     [](json& d) { d["model"]["vocab"]["ab"] = -1; }},
    {"IdIsHuge", Code::ValueOutOfRange, "model.vocab.ab",
     [](json& d) { d["model"]["vocab"]["ab"] = 4000000000000ULL; }},
    {"IdIsFarAway", Code::ValueOutOfRange, "model.vocab.ab",
     [](json& d) { d["model"]["vocab"]["ab"] = 10000000; }},
    {"IdIsTaken", Code::BadTokenizer, "belongs to another token",
     [](json& d) { d["model"]["vocab"]["ab"] = 257; }},
    {"MissingByte", Code::BadTokenizer, "byte 97",
     [](json& d) { d["model"]["vocab"].erase("a"), d["model"]["merges"] = json::array(); }},
    {"ByteThatIsControl", Code::BadTokenizer, "byte 97",
     [](json& d) {
         d["added_tokens"].push_back({{"id", 97}, {"content", "a"}, {"special", true}});
     }},
    {"MergeOfUnknownToken", Code::BadTokenizer, "model.merges[2]",
     [](json& d) { d["model"]["merges"].push_back("zz a"); }},
    {"MergeGivesUnknownToken", Code::BadTokenizer, "model.merges[2]",
     [](json& d) { d["model"]["merges"].push_back("a c"); }},
    {"MergeOfThree", Code::BadTokenizer, "model.merges[2]",
     [](json& d) { d["model"]["merges"].push_back("a b c"); }},
    {"MergeOfOne", Code::BadTokenizer, "model.merges[2]",
     [](json& d) { d["model"]["merges"].push_back("ab"); }},
    {"MergeIsNumber", Code::WrongType, "model.merges[2]", [](json& d) { d["model"]["merges"].push_back(3); }},
    {"UnknownMissing", Code::BadTokenizer, "model.unk_token",
     [](json& d) { d["model"]["unk_token"] = "<unk>"; }},
    {"Dropout", Code::UnsupportedTokenizer, "dropout", [](json& d) { d["model"]["dropout"] = 0.1; }},
    {"WordSuffix", Code::UnsupportedTokenizer, "end_of_word_suffix",
     [](json& d) { d["model"]["end_of_word_suffix"] = "</w>"; }},
    {"AddedWithoutId", Code::MissingKey, "added_tokens[0].id",
     [](json& d) { d["added_tokens"][0].erase("id"); }},
    {"AddedFarAway", Code::ValueOutOfRange, "added_tokens[0].id",
     [](json& d) { d["added_tokens"][0]["id"] = 1000000; }},
    {"AddedOnAnother", Code::BadTokenizer, "added_tokens[0]",
     [](json& d) { d["added_tokens"][0]["id"] = 5; }},
    {"AddedTwice", Code::DuplicateName, "<s>", [](json& d) { d["added_tokens"][1]["content"] = "<s>"; }},
    {"AddedEmpty", Code::BadTokenizer, "added_tokens[0]",
     [](json& d) { d["added_tokens"][0]["content"] = ""; }},
    {"AddedLong", Code::LimitExceeded, "added_tokens[0]",
     [](json& d) { d["added_tokens"][0]["content"] = std::string(2000, 'x'); }},
    {"LowercaseNormalizer", Code::UnsupportedTokenizer, "Lowercase",
     [](json& d) { d["normalizer"] = step("Lowercase"); }},
    {"NestedNormalizer", Code::UnsupportedTokenizer, "normalizer.normalizers[0]",
     [](json& d) {
         d["normalizer"] = {{"type", "Sequence"}, {"normalizers", {step("Strip")}}};
     }},
    {"BertPreTokenizer", Code::UnsupportedTokenizer, "BertPreTokenizer",
     [](json& d) { d["pre_tokenizer"] = step("BertPreTokenizer"); }},
    {"SplitBehaviour", Code::UnsupportedTokenizer, "behavior Odd",
     [](json& d) {
         d["pre_tokenizer"] = {{"type", "Split"}, {"pattern", {{"String", "a"}}}, {"behavior", "Odd"}};
     }},
    {"SplitPattern", Code::WrongType, "pre_tokenizer.pattern",
     [](json& d) {
         d["pre_tokenizer"] = {{"type", "Split"}, {"pattern", "a"}, {"behavior", "Isolated"}};
     }},
    {"TwoByteLevels", Code::UnsupportedTokenizer, "second ByteLevel",
     [](json& d) {
         d["pre_tokenizer"] = {{"type", "Sequence"},
                               {"pretokenizers", {step("ByteLevel"), step("ByteLevel")}}};
     }},
    {"MetaspaceOfTwo", Code::BadTokenizer, "replacement",
     [](json& d) {
         d["pre_tokenizer"] = {{"type", "Metaspace"}, {"replacement", "__"}};
     }},
    {"WordPieceDecoder", Code::UnsupportedTokenizer, "decoder",
     [](json& d) { d["decoder"] = step("WordPiece"); }},
    {"DecoderAlone", Code::UnsupportedTokenizer, "decoder", [](json& d) { d["pre_tokenizer"] = nullptr; }},
    {"BertProcessing", Code::UnsupportedTokenizer, "post_processor",
     [](json& d) { d["post_processor"] = step("BertProcessing"); }},
    {"TemplateUnknownToken", Code::MissingKey, "special_tokens",
     [](json& d) {
         d["post_processor"] = templateOf({kBegin, kText}, json::object());
     }},
    {"TemplateFarToken", Code::BadTokenizer, "post_processor",
     [](json& d) {
         json t = kTokens;
         t["<s>"]["ids"] = {999};
         d["post_processor"] = templateOf({kBegin, kText}, t);
     }},
    {"TemplateTwoBefore", Code::UnsupportedTokenizer, "post_processor",
     [](json& d) {
         d["post_processor"] = templateOf({kBegin, kEnd, kText}, kTokens);
     }},
};

INSTANTIATE_TEST_SUITE_P(All, BrokenTokenizer, testing::ValuesIn(kBroken),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(TokenizerJson, ConfigNamesTokensThatExist) {
    for (const char* config :
         {R"({"bos_token": "<nope>"})", R"({"eos_token": {"content": "<nope>"}})", R"({"bos_token": 3})",
          R"({"add_bos_token": true})", R"({"add_bos_token": "yes"})", R"([])", R"({"a": 1, "a": 2})"}) {
        const auto spec = parse(sample(), config);
        ASSERT_FALSE(spec.ok()) << config;
        EXPECT_NE(base::render(spec.error()).find("tokenizer_config.json"), std::string::npos)
            << base::render(spec.error());
    }
}

TEST(TokenizerJson, TextThatIsNotStrictJson) {
    for (const char* text : {"", "{", "[]", "{\"model\": 1, \"model\": 2}", "\xFF", "nul"}) {
        const auto spec = formats::parseTokenizerJson(text, "t/tokenizer.json", std::nullopt);
        EXPECT_FALSE(spec.ok()) << text;
    }
    std::string deep(100000, '[');
    EXPECT_FALSE(formats::parseTokenizerJson(deep, "t/tokenizer.json", std::nullopt).ok());
}

TEST(TokenizerJson, EveryCutIsASentence) {
    const std::string whole = sample().dump();
    for (size_t size = 0; size < whole.size(); ++size)
        ASSERT_FALSE(formats::parseTokenizerJson(whole.substr(0, size), "t", std::nullopt).ok());
}

TEST(TokenizerSpecText, ByteTokensAreReadStrictly) {
    EXPECT_EQ(formats::byteOfToken("<0x0A>"), 10);
    EXPECT_EQ(formats::byteOfToken("<0xfF>"), 255);
    for (const char* text :
         {"<0x-1>", "<0xZZ>", "<0x1>", "<0x123>", "0x0A", "<0X0A>", "<0x 1>", "<0x+1>", ""})
        EXPECT_FALSE(formats::byteOfToken(text).has_value()) << text;
}

TEST(TokenizerSpecText, PreNameOfTheUsualForms) {
    json document = sample();
    EXPECT_EQ(formats::ggufPreName(*parse(document)), "gpt-2");
    document["pre_tokenizer"] = {{"type", "Sequence"},
                                 {"pretokenizers",
                                  {{{"type", "Digits"}, {"individual_digits", true}},
                                   {{"type", "ByteLevel"}, {"add_prefix_space", false}}}}};
    EXPECT_EQ(formats::ggufPreName(*parse(document)), "starcoder");
    document["pre_tokenizer"]["pretokenizers"][1]["add_prefix_space"] = true;
    EXPECT_FALSE(formats::ggufPreName(*parse(document)).has_value());
}

}  // namespace
}  // namespace conclave::engine::text
