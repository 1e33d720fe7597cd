// conclave adapters info, convert and merge, which need no engine, run as a person runs them.
#include <algorithm>
#include <filesystem>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/engine/cli/program.h"

namespace conclave::tests {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const std::string kFixtures = std::string(CONCLAVE_SOURCE_DIR) + "/tests/fixtures";
const std::string kModel = kFixtures + "/models/mixtral-tiny";
const std::string kAdapter = kModel + "/adapters/attention";

void expectSentence(const Ended& ended, const std::string& part) {
    EXPECT_EQ(ended.code, 2) << ended.error;
    EXPECT_EQ(ended.out, "");
    EXPECT_NE(ended.error.find(part), std::string::npos) << ended.error;
    EXPECT_EQ(std::count(ended.error.begin(), ended.error.end(), '\n'), 1) << ended.error;
}

TEST(AdapterFiles, InfoNamesAnInstalledAdapterAndItsPlaces) {
    const Home home;
    const Ended named = home.conclave({"adapters", "info", "legal", "--model", "starter", "--json"});
    ASSERT_EQ(named.code, 0) << named.error;
    const json info = json::parse(named.out);
    EXPECT_EQ(info["form"], "PEFT");
    EXPECT_EQ(info["pairs"], info["attached_pairs"]);
    EXPECT_GT(info["layers"].size(), 0u);
    const Ended plain = home.conclave({"adapters", "info", kAdapter});
    EXPECT_EQ(plain.code, 0) << plain.error;
    EXPECT_NE(plain.out.find("alpha 8, divided by the rank"), std::string::npos) << plain.out;
    EXPECT_EQ(plain.out.find("attached"), std::string::npos);
    expectSentence(home.conclave({"adapters", "info", "nobody", "--model", "starter"}), "legal");
    expectSentence(home.conclave({"adapters", "info", kModel}), "is not an adapter");
}

TEST(AdapterFiles, ConvertGoesThereAndBack) {
    const Home home;
    const std::string gguf = home.path("a.gguf"), folder = home.path("back");
    const Ended there = home.conclave({"adapters", "convert", kAdapter, gguf, "--model", kModel});
    ASSERT_EQ(there.code, 0) << there.error;
    EXPECT_NE(there.out.find("GGUF for llama"), std::string::npos) << there.out;
    const Ended back =
        home.conclave({"adapters", "convert", gguf, folder, "--model", kModel, "--dtype", "f16", "--json"});
    ASSERT_EQ(back.code, 0) << back.error;
    EXPECT_GT(json::parse(back.out)["rounded"], 0);
    EXPECT_TRUE(fs::exists(folder + "/adapter_config.json"));
    EXPECT_EQ(home.conclave({"check", kModel, "--adapter", gguf, "--golden", kAdapter}).code, 0);
    expectSentence(home.conclave({"adapters", "convert", gguf, folder, "--model", kModel}),
                   "is there already");
    expectSentence(home.conclave({"adapters", "convert", gguf, home.path("x")}), "--model: is missing");
    expectSentence(
        home.conclave({"adapters", "convert", gguf, home.path("x"), "--model", kModel, "--dtype", "f8"}),
        "f32, f16, bf16");
}

TEST(AdapterFiles, MergeWritesAModelThatAnswersAsBothTogether) {
    const Home home;
    const std::string merged = home.path("m.gguf");
    const Ended ended = home.conclave(
        {"adapters", "merge", kModel, "--adapter", kAdapter + ":1", merged, "--quant", "f32", "--json"});
    ASSERT_EQ(ended.code, 0) << ended.error;
    EXPECT_EQ(json::parse(ended.out)["adapters"][0]["scale"], 1);
    EXPECT_EQ(home.conclave({"check", merged, "--golden", kAdapter}).code, 0);
    const Ended starter =
        home.conclave({"adapters", "merge", "starter", home.path("s.gguf"), "--adapter", "legal:0.5",
                       "--adapter", "customer-service:0.5", "--quant", "q8_0"});
    EXPECT_EQ(starter.code, 0) << starter.error;
    EXPECT_EQ(home.conclave({"show", home.path("s.gguf")}).code, 0);
    expectSentence(
        home.conclave({"adapters", "merge", kModel, merged, "--adapter", kAdapter, "--quant", "q5"}),
        "q8_0, q4_0, bf16, f16, f32");
}

}  // namespace
}  // namespace conclave::tests
