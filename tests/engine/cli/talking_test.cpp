// The commands that talk to an engine, which they start themselves.
#include <algorithm>
#include <filesystem>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <tuple>

#include "tests/engine/cli/program.h"

namespace conclave::tests {
namespace {

using nlohmann::json;

const std::string kStarter = std::string(CONCLAVE_SOURCE_DIR) + "/resources/models/starter";

TEST(Run, AnswersWithTheStarterAndLeavesAnEngineThatStops) {
    const Home home;
    const Ended first = home.conclave(
        {"run", "starter", "Write a note: Tell Ann that the parcel is late.", "--temperature", "0"});
    ASSERT_EQ(first.code, 0) << first.error;
    EXPECT_GT(first.out.size(), 2u);
    const Ended again = home.conclave({"run", "starter", "Write a note: Tell Ann that the parcel is late.",
                                       "--temperature", "0", "--json"});
    ASSERT_EQ(again.code, 0) << again.error;
    const json answer = json::parse(again.out);
    EXPECT_EQ(answer["text"].get<std::string>() + "\n", first.out);
    EXPECT_EQ(answer["finish"], "stop");
    EXPECT_GT(answer["usage"]["completion_tokens"].get<int>(), 0);

    const json engine = json::parse(home.conclave({"ps", "--json"}).out);
    EXPECT_EQ(engine["models"][0]["id"], "starter");
    EXPECT_EQ(home.conclave({"stop", "starter"}).code, 0);
    EXPECT_EQ(home.conclave({"stop", "starter"}).code, 2) << "it is unloaded";
    EXPECT_TRUE(json::parse(home.conclave({"ps", "--json"}).out)["models"].empty()) << "the engine goes on";
    EXPECT_EQ(home.conclave({"stop"}).code, 0);
    EXPECT_EQ(home.conclave({"stop"}).code, 2);
    EXPECT_EQ(home.conclave({"ps"}).code, 2);
}

TEST(Run, SteersTheRoutersAsTheFlagsSay) {
    const Home home;
    const auto with = [&](const std::vector<std::string>& flags) {
        std::vector<std::string> all{"run",          "starter", "What can you do?", "--temperature", "0",
                                     "--max-tokens", "30"};
        all.insert(all.end(), flags.begin(), flags.end());
        return home.conclave(all);
    };
    const std::string trained = with({}).out;
    EXPECT_EQ(with({"--active-experts", "2"}).out, trained);
    const Ended one = with({"--active-experts", "1", "--router-temperature", "1.5", "--expert-floor", "0.1",
                            "--expert-bias", "3:17:-2.5", "--expert-bias", "all:5:forbid"});
    EXPECT_EQ(one.code, 0) << one.error;
    EXPECT_NE(one.out, trained);
    const std::pair<std::vector<std::string>, const char*> bad[] = {
        {{"--active-experts", "65"}, "router.active: 65"},
        {{"--router-temperature", "0"}, "router.temperature: 0"},
        {{"--router-temperature", "nan"}, "--router-temperature: nan"},
        {{"--expert-floor", "1"}, "router.floor: 1"},
        {{"--expert-bias", "3:17"}, "--expert-bias: 3:17"},
        {{"--expert-bias", "0:1:2"}, "router.bias.layer: 0"},
        {{"--expert-bias", "x:1:2"}, "--expert-bias: x:1:2"},
        {{"--expert-bias", "1:64:2"}, "router.bias.expert: 64"}};
    for (const auto& [flags, begin] : bad) {
        const Ended ended = with(flags);
        EXPECT_EQ(ended.code, 2) << begin;
        EXPECT_TRUE(ended.error.starts_with("conclave: " + std::string(begin))) << ended.error;
    }
}

TEST(Run, TheSameSeedGivesTheSameWords) {
    const Home home;
    const std::vector<std::string> words{"run", "starter",      "Hello", "--temperature",
                                         "1",   "--max-tokens", "24",    "--seed"};
    auto with = [&](const char* seed) {
        auto all = words;
        all.push_back(seed);
        return home.conclave(all).out;
    };
    const std::string seven = with("7");
    EXPECT_EQ(with("7"), seven);
    EXPECT_NE(with("8") + with("9"), seven + seven);
}

TEST(Run, RefusesValuesOutOfRangeWithFieldValueAndRange) {
    const Home home;
    const Ended ended = home.conclave({"run", "starter", "Hello", "--temperature", "9"});
    EXPECT_EQ(ended.code, 2);
    EXPECT_NE(ended.error.find("temperature"), std::string::npos) << ended.error;
    EXPECT_NE(ended.error.find("9"), std::string::npos) << ended.error;
    EXPECT_EQ(home.conclave({"run", "nobody", "Hello"}).code, 2);
    for (const auto& [flag, value, field] : {std::tuple("--presence-penalty", "3", "presence_penalty"),
                                             {"--frequency-penalty", "-3", "frequency_penalty"},
                                             {"--repeat-penalty", "0", "repetition_penalty"},
                                             {"--repeat-last-n", "-2", "repeat_last_n"},
                                             {"--typical-p", "2", "typical_p"}}) {
        const Ended wrong = home.conclave({"run", "starter", "Hello", flag, value});
        EXPECT_EQ(wrong.code, 2) << flag;
        EXPECT_NE(wrong.error.find(field), std::string::npos) << wrong.error;
    }
}

TEST(Run, AnAnswerMayBeMadeToGoOn) {
    const Home home;
    const Ended ended = home.conclave({"run", "starter", "Hello", "--ignore-eos", "--max-tokens", "150",
                                       "--min-tokens", "3", "--temperature", "0", "--json"});
    ASSERT_EQ(ended.code, 0) << ended.error;
    EXPECT_EQ(json::parse(ended.out)["usage"]["completion_tokens"], 150);
}

TEST(Run, AModelByPathIsLoadedUnderAName) {
    const Home home;
    const std::string path = std::string(CONCLAVE_SOURCE_DIR) + "/tests/fixtures/models/llama-tiny";
    const Ended ended = home.conclave({"run", path, "x", "--raw", "--max-tokens", "4", "--temperature", "0"});
    EXPECT_EQ(ended.code, 0) << ended.error;
    const json rows = json::parse(home.conclave({"models", "--json"}).out);
    EXPECT_TRUE(std::any_of(rows.begin(), rows.end(), [](const json& row) {
        return row["id"] == "llama-tiny" && row["loaded"] == true;
    }));
}

TEST(Run, RandomWeightsNeedNoFile) {
    const Home home;
    const std::string model = "synth:qwen2.5-coder-1.5b:q2_k:1";
    const Ended ended = home.conclave({"run", model, "hello", "--max-tokens", "3", "--temperature", "0"});
    EXPECT_EQ(ended.code, 0) << ended.error;
    EXPECT_FALSE(ended.out.empty());
    const Ended huge = home.conclave({"run", "synth:deepseek-v3:f32", "hello"});
    EXPECT_EQ(huge.code, 2);
    EXPECT_NE(huge.error.find("not enough memory for the weights"), std::string::npos) << huge.error;
}

TEST(Chat, TalksLineByLineAndRemembersWhatWasSaid) {
    const Home home;
    const std::string script =
        "Hello\n\"\"\"\nWrite a note:\nTell Ann that the parcel is late.\n\"\"\"\n/clear\nHello\n/exit\n";
    const Ended ended =
        home.conclave({"chat", "starter", "--temperature", "0", "--max-tokens", "40"}, script);
    ASSERT_EQ(ended.code, 0) << ended.error;
    std::vector<std::string> lines;
    for (size_t at = 0, end; (end = ended.out.find('\n', at)) != std::string::npos; at = end + 1)
        lines.push_back(ended.out.substr(at, end - at));
    ASSERT_GE(lines.size(), 3u) << ended.out;
    EXPECT_EQ(lines.front(), lines.back());  // the same question in a new conversation
    EXPECT_NE(ended.error.find("starter model"), std::string::npos) << ended.error;  // says that it is tiny
}

TEST(Chat, ShowsTheExpertsOfItsConversationAlone) {
    const Home home;
    const Ended ended = home.conclave({"chat", "starter", "--temperature", "0", "--max-tokens", "8"},
                                      "Hello\n/experts\n/clear\n/experts\n");
    ASSERT_EQ(ended.code, 0) << ended.error;
    const size_t first = ended.out.find("worst layer"), later = ended.out.find("requests      none yet");
    EXPECT_LT(first, later) << ended.out;
    EXPECT_LT(later, ended.out.size()) << "a new conversation has met none";
    EXPECT_EQ(ended.out.find("worst layer", later), std::string::npos);

    const Ended live = home.conclave({"experts", "--live", "--json"});
    ASSERT_EQ(live.code, 0) << live.error;
    EXPECT_GT(json::parse(live.out)["window"]["tokens"], 0);
    const Ended without = home.conclave({"experts", "starter", "--live", "--adapter", "legal"});
    EXPECT_NE(without.out.find("none yet"), std::string::npos) << without.out << without.error;
    const std::pair<std::vector<std::string>, const char*> bad[] = {
        {{"experts", "nobody", "--live"}, "nobody is not loaded; loaded are: starter"},
        {{"experts", "--live", "--tokens", "0"}, "tokens: 0 is out of range"},
        {{"experts", "--live", "--text", "x"}, "--live excludes --text"},
        {{"experts", "starter", "--watch"}, "--watch requires --live"},
        {{"experts"}, "model: is missing"}};
    for (const auto& [words, what] : bad) {
        const Ended refused = home.conclave(words);
        EXPECT_NE(refused.code, 0) << what;
        EXPECT_NE(refused.error.find(what), std::string::npos) << refused.error;
    }
}

TEST(Adapters, TheListHasWhatIsLoadedAndWhatIsInstalled) {
    const Home home;
    ASSERT_EQ(home.conclave({"run", "starter", "Hello", "--adapter", "legal", "--max-tokens", "4"}).code, 0);
    const Ended listed = home.conclave({"adapters", "list"});
    ASSERT_EQ(listed.code, 0) << listed.error;
    EXPECT_NE(listed.out.find("0  starter:legal  42 matrices, rank 8"), std::string::npos) << listed.out;
    EXPECT_NE(listed.out.find("-  starter:customer-service  "), std::string::npos) << listed.out;
}

TEST(Adapters, APathIsItselfWhateverElseHasItsName) {
    const Home home;
    const auto answer = [&](const std::string& adapter) {
        const Ended ended = home.conclave({"run", "starter", "How do I return a parcel?", "--temperature",
                                           "0", "--max-tokens", "30", "--adapter", adapter});
        EXPECT_EQ(ended.code, 0) << ended.error;
        return ended.out;
    };
    // Two runs of a training, each with a folder of the same name, and that name is an installed adapter's.
    const std::string adapters = kStarter + "/adapters/";
    for (const auto& [run, from] : {std::pair("one", "legal"), std::pair("two", "customer-service")}) {
        std::filesystem::create_directories(home.path(run));
        std::filesystem::copy(adapters + from, home.path(run) + "/legal");
    }
    const std::string other = answer(home.path("two/legal")), legal = answer("legal");
    EXPECT_NE(other, legal) << "the installed one is the one that is named";
    EXPECT_EQ(answer(home.path("one/legal")), legal);
    EXPECT_EQ(answer(home.path("two/legal/")), other);
    EXPECT_EQ(answer("starter:customer-service"), other);
    EXPECT_NE(home.conclave({"adapters", "load", "starter", home.path("two/legal")}).code, 0)
        << "who loads for others says the name";
    const Ended empty = home.conclave({"adapters", "load", "starter", ""});
    EXPECT_NE(empty.error.find("path: is empty"), std::string::npos) << empty.error;
}

TEST(Serve, RefusesFlagsThatCannotBeMet) {
    const Home home;
    for (const std::vector<std::string>& words : {std::vector<std::string>{"serve", "--threads", "100000"},
                                                  {"serve", "--kernels", "abacus"},
                                                  {"serve", "--kv-memory", "1", "--model", kStarter},
                                                  {"serve", "--socket", "/tmp/" + std::string(200, 'x')}}) {
        const Ended ended = home.conclave(words);
        EXPECT_EQ(ended.code, 2) << words[1] << ended.error;
        EXPECT_FALSE(ended.error.empty());
    }
}

}  // namespace
}  // namespace conclave::tests
