// Every known value of tokenizer.ggml.pre against the splits that Python's `regex` made (make_splits.py).
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/text/pre_tokenizer.h"

namespace conclave::engine::text {
namespace {

nlohmann::json fixture(const char* name) {
    std::ifstream in(std::string(CONCLAVE_SOURCE_DIR "/tests/fixtures/tokenizer/") + name);
    EXPECT_TRUE(in.good()) << name;
    return nlohmann::json::parse(in);
}

std::string lengths(const PreTokenizer& pre, const std::string& text) {
    std::ostringstream out;
    std::string joined;
    const auto done = pre.split(text, true, [&](std::string_view piece) {
        out << (joined.empty() ? "" : " ") << piece.size();
        joined += piece;
    });
    EXPECT_TRUE(done.ok());
    EXPECT_EQ(joined, text);
    return out.str();
}

TEST(PreTokenizerSplits, AgreeWithThePythonOracle) {
    const auto corpus = fixture("corpus.json");
    const auto rows = fixture("splits.json");
    for (auto row = rows.begin(); row != rows.end(); ++row) {
        const auto steps = formats::ggufPreSteps(row.key());
        ASSERT_TRUE(steps.has_value()) << row.key();
        const auto pre = PreTokenizer::make(*steps, "test");
        ASSERT_TRUE(pre.ok()) << base::render(pre.error());
        const auto& expected =
            row.value().is_string() ? rows.at(row.value().get<std::string>()) : row.value();
        ASSERT_EQ(expected.size(), corpus.size());
        for (size_t i = 0; i < corpus.size(); ++i)
            EXPECT_EQ(lengths(*pre, corpus[i].get<std::string>()), expected[i].get<std::string>())
                << row.key() << ", document " << i << ": " << corpus[i];
    }
}

TEST(PreTokenizerSplits, EveryNameHasARow) {
    const auto rows = fixture("splits.json");
    for (const std::string& name : formats::ggufPreNames())
        EXPECT_TRUE(rows.contains(name)) << name;
    EXPECT_FALSE(formats::ggufPreSteps("no-such-name").has_value());
}

}  // namespace
}  // namespace conclave::engine::text
