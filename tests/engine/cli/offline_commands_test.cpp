// The commands that need no engine, run as a person runs them.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/engine/cli/program.h"

namespace conclave::tests {
namespace {

using nlohmann::json;

const std::string kFixtures = std::string(CONCLAVE_SOURCE_DIR) + "/tests/fixtures";
const std::string kTiny = kFixtures + "/models/llama-tiny";

json readJson(const std::string& path) {
    std::ifstream file(path);
    return json::parse(file);
}

/// One sentence on standard error, nothing on standard output, exit code 2.
void expectSentence(const Ended& ended, const std::string& part) {
    EXPECT_EQ(ended.code, 2) << ended.error;
    EXPECT_EQ(ended.out, "");
    EXPECT_NE(ended.error.find(part), std::string::npos) << ended.error;
    EXPECT_EQ(std::count(ended.error.begin(), ended.error.end(), '\n'), 1) << ended.error;
}

TEST(Tokenize, GivesTheIdsOfTheGoldenPromptsByteForByte) {
    const Home home;
    for (const std::string& model : {kTiny, kTiny + "/model.gguf"}) {
        for (const json& prompt : readJson(kTiny + "/golden.json")) {
            std::string expected;
            const std::vector<int> ids = prompt["ids"];
            for (size_t i = 1; i < ids.size(); ++i)  // without the beginning-of-text token
                expected += (i > 1 ? " " : "") + std::to_string(ids[i]);
            const Ended ended = home.conclave({"tokenize", model}, prompt["prompt"]);
            EXPECT_EQ(ended.code, 0) << ended.error;
            EXPECT_EQ(ended.out, expected + "\n");
            const Ended special = home.conclave({"tokenize", model, "--special"}, prompt["prompt"]);
            EXPECT_EQ(special.out, std::to_string(ids[0]) + " " + expected + "\n");
        }
    }
}

TEST(Tokenize, ReadsAFileAndKeepsControlTokensPlainUnlessAsked) {
    const Home home;
    const std::string file = home.write("text", "<｜User｜>");
    const Ended plain = home.conclave({"tokenize", "starter", file, "--json"});
    EXPECT_GT(json::parse(plain.out)["tokens"].size(), 1u) << plain.error;
    const Ended special = home.conclave({"tokenize", "starter", file, "--json", "--special"});
    EXPECT_EQ(json::parse(special.out)["tokens"].size(), 2u) << special.error;
}

TEST(Tokenize, RefusesTextThatIsNotUtf8) {
    const Home home;
    expectSentence(home.conclave({"tokenize", "starter"}, "ab\xFF"), "UTF-8");
}

TEST(Template, PrintsTheTextAlone) {
    const Home home;
    const std::string input =
        R"({"messages": [{"role": "user", "content": "Hi"}], "add_generation_prompt": true})";
    const Ended ended = home.conclave({"template", "starter", "--input", "-"}, input);
    EXPECT_EQ(ended.code, 0) << ended.error;
    EXPECT_EQ(ended.out, "<｜begin▁of▁sentence｜><｜User｜>Hi<｜Assistant｜>");
    const std::string file = home.write("t.jinja", "{{ strftime_now('%d %b %Y') }} {{ x }}");
    const Ended clock = home.conclave({"template", file, "--input", home.write("case.json", R"({"x": 7})"),
                                       "--now", "2026-11-23T09:30:00"});
    EXPECT_EQ(clock.out, "23 Nov 2026 7") << clock.error;
}

TEST(Template, SaysWhereATemplateIsWrong) {
    const Home home;
    const std::string file = home.write("t.jinja", "line one\n{% if %}");
    expectSentence(home.conclave({"template", file, "--input", "-"}, "{}"), "line 2");
    expectSentence(home.conclave({"template", file, "--input", "-"}, "{,}"), "JSON");
    expectSentence(home.conclave({"template", file, "--input", "-", "--now", "yesterday"}, "{}"), "--now");
}

TEST(Show, DescribesFoldersAndFilesAlike) {
    const Home home;
    const json folder = json::parse(home.conclave({"show", kTiny, "--json"}).out);
    const json file = json::parse(home.conclave({"show", kTiny + "/model.gguf", "--json"}).out);
    for (const char* key :
         {"family", "layers", "hidden", "vocabulary", "context", "heads", "kv_heads", "tokens"})
        EXPECT_EQ(folder[key], file[key]) << key;
    const json starter = json::parse(home.conclave({"show", "starter", "--json"}).out);
    EXPECT_EQ(starter["experts"], 64);
    EXPECT_EQ(starter["chosen_experts"], 2);
    EXPECT_NEAR(starter["parameters"].get<double>(), 11.46e6, 0.1e6);
    EXPECT_NEAR(starter["active_parameters"].get<double>(), 1.94e6, 0.05e6);
}

TEST(Models, ListsTheStarterWithoutStartingAnEngine) {
    const Home home;
    const Ended ended = home.conclave({"models", "--json"});
    ASSERT_EQ(ended.code, 0) << ended.error;
    const json rows = json::parse(ended.out);
    EXPECT_TRUE(
        std::any_of(rows.begin(), rows.end(), [](const json& row) { return row["id"] == "starter"; }));
    EXPECT_FALSE(std::filesystem::exists(home.path("run/conclave/engine.sock")));
}

TEST(Doctor, LooksAtTheMachine) {
    const Home home;
    const Ended ended = home.conclave({"doctor", "--json"});
    EXPECT_EQ(ended.code, 0) << ended.out << ended.error;
    const json report = json::parse(ended.out);
    EXPECT_GT(report["machine"]["memory_bytes"].get<uint64_t>(), uint64_t{1} << 28);
    EXPECT_EQ(report["machine"]["kernels"].back()["name"], "reference");
    EXPECT_EQ(report["environment"]["XDG_CACHE_HOME"], home.path("cache"));
}

TEST(Check, PassesFailsAndRefusesWithItsThreeExitCodes) {
    const Home home;
    const Ended good = home.conclave({"check", kTiny, "--json"});
    EXPECT_EQ(good.code, 0) << good.out << good.error;
    const json report = json::parse(good.out);
    EXPECT_TRUE(report["pass"].get<bool>());
    EXPECT_LE(report["max_logit_error"].get<double>(), 2e-3);
    // Golden files of the same shape from another model.
    const Ended other =
        home.conclave({"check", kTiny, "--golden", kFixtures + "/models/qwen2-tiny", "--json"});
    EXPECT_EQ(other.code, 1) << other.out << other.error;
    EXPECT_FALSE(json::parse(other.out)["pass"].get<bool>());
    expectSentence(home.conclave({"check", kTiny, "--golden", home.folder()}), "golden");
    expectSentence(home.conclave({"check", kTiny, "--kernels", "abacus"}), "abacus");
    expectSentence(home.conclave({"check", kTiny, "--threads", "5000"}), "--threads");
    expectSentence(home.conclave({"check", kTiny, "--threads", "4000"}), "--threads");
    expectSentence(home.conclave({"check", kTiny, "--context", "3"}), "--context");
    expectSentence(home.conclave({"check", kTiny, "--kv-memory", "1"}), "--kv-memory");
    expectSentence(home.conclave({"check", kTiny, "--kv-memory", "many"}), "--kv-memory");
    EXPECT_EQ(home.conclave({"check", kTiny, "--context", "512", "--kv-memory", "64MiB"}).code, 0);
}

TEST(Check, TakesItsKeysFromTheConfiguration) {
    const Home home;
    std::filesystem::create_directories(home.path("config/conclave"));
    home.write("config/conclave/config.toml", "context = 3\n");
    expectSentence(home.conclave({"check", kTiny}), "--context");
    EXPECT_EQ(home.conclave({"check", kTiny, "--context", "512"}).code, 0);
}

TEST(Models, AreAlsoFoundInConfiguredFolders) {
    const Home home;
    std::filesystem::create_directories(home.path("config/conclave"));
    std::filesystem::create_directories(home.path("more"));
    std::filesystem::create_directory_symlink(kTiny, home.path("more/mine"));
    home.write("config/conclave/config.toml",
               "models-dir = [\"" + home.path("more") + "\", \"" + home.path("gone") + "\"]\n");
    const Ended shown = home.conclave({"show", "mine", "--json"});
    EXPECT_EQ(shown.code, 0) << shown.error;
    EXPECT_EQ(shown.error, "conclave: warning: " + home.path("config/conclave/config.toml") +
                               ":1: models-dir: " + home.path("gone") +
                               " is not a folder that can be opened; no models are looked for there\n");
    EXPECT_EQ(home.conclave({"check", "mine"}).code, 0);
    const json models = json::parse(home.conclave({"models", "--json"}).out);
    EXPECT_TRUE(std::ranges::any_of(models, [](const json& row) { return row["id"] == "mine"; })) << models;
    const json doctor = json::parse(home.conclave({"doctor", "--json"}).out);
    EXPECT_EQ(doctor["model_folders"][0], home.path("more"));
    EXPECT_NE(doctor["problems"].dump().find(home.path("gone")), std::string::npos);
}

TEST(Import, MakesAFileThatChecks) {
    const Home home;
    const std::string out = home.path("tiny.gguf");
    const Ended imported = home.conclave({"import", kTiny, out});
    ASSERT_EQ(imported.code, 0) << imported.error;
    const Ended checked = home.conclave({"check", out, "--golden", kTiny, "--json"});
    EXPECT_EQ(checked.code, 0) << checked.out << checked.error;
    expectSentence(home.conclave({"import", kTiny, home.path("x.gguf"), "--quant", "q1_0"}), "q1_0");
    expectSentence(home.conclave({"import", kTiny + "/model.gguf", home.path("x.gguf")}),
                   "a GGUF file already");
}

TEST(Commands, RefuseWhatIsNotAModelInOneSentence) {
    const Home home;
    home.write("folder/readme", "nothing");
    home.write("empty.gguf", "");
    home.write("cut.gguf", "GGUF\x03");
    for (const char* command : {"show", "tokenize", "check"}) {
        expectSentence(home.conclave({command, "no-such-model"}), "no-such-model");
        expectSentence(home.conclave({command, home.path("missing.gguf")}), "no such file");
        expectSentence(home.conclave({command, home.path("folder")}), "config.json");
        expectSentence(home.conclave({command, home.path("empty.gguf")}), "empty");
        expectSentence(home.conclave({command, home.path("cut.gguf")}), "cut.gguf");
        expectSentence(home.conclave({command, "/dev/zero"}), "device");
    }
}

TEST(Synth, WritesAFileThatTheOtherCommandsRead) {
    const Home home;
    const std::string file = home.path("small.gguf");
    const Ended made =
        home.conclave({"synth", "qwen2.5-coder-1.5b", "--quant", "q2_k", "--layers", "1", "--json", file});
    EXPECT_EQ(made.code, 0) << made.error;
    EXPECT_EQ(json::parse(made.out)["model"], "synth:qwen2.5-coder-1.5b:q2_k:1");
    for (const std::string& model : {file, std::string("synth:qwen2.5-coder-1.5b:q2_k:1")}) {
        const Ended shown = home.conclave({"show", model, "--json"});
        EXPECT_EQ(shown.code, 0) << shown.error;
        EXPECT_EQ(json::parse(shown.out)["bytes"], json::parse(made.out)["bytes"]);
        EXPECT_EQ(home.conclave({"tokenize", model}, "baka").out,
                  home.conclave({"tokenize", file}, "baka").out);
    }
}

TEST(Synth, RefusesInOneSentence) {
    const Home home;
    const std::string file = home.path("no.gguf");
    expectSentence(home.conclave({"synth", "gpt-5", file}), "one of deepseek-v2-lite");
    expectSentence(home.conclave({"synth", "olmoe-1b-7b", "--quant", "q9", file}), "one of f32");
    expectSentence(home.conclave({"synth", "olmoe-1b-7b", "--layers", "0", file}), "1 to 16");
    expectSentence(home.conclave({"synth", "olmoe-1b-7b", "--layers", "-1", file}), "1 to 16");
    expectSentence(home.conclave({"synth", "olmoe-1b-7b", home.write("letter", "Dear Ann")}), "not a GGUF");
    expectSentence(home.conclave({"show", "synth:gpt-5"}), "one of deepseek-v2-lite");
    EXPECT_FALSE(std::filesystem::exists(file));
}

TEST(Commands, ExplainThemselvesWithAnExample) {
    const Home home;
    for (const char* command : {"run", "chat", "serve", "ps", "stop", "models", "show", "check", "tokenize",
                                "template", "import", "synth", "doctor"}) {
        const Ended ended = home.conclave({command, "--help"});
        EXPECT_EQ(ended.code, 0) << command;
        EXPECT_NE(ended.out.find("Example:\n  "), std::string::npos) << ended.out;
        EXPECT_NE(ended.out.find("Usage: conclave " + std::string(command)), std::string::npos) << ended.out;
    }
    EXPECT_EQ(home.conclave({"--version"}).code, 0);
    expectSentence(home.conclave({"juggle"}), "juggle");
    expectSentence(home.conclave({"show"}), "model");
}

TEST(Experts, ShowWhichATextUses) {
    const Home home;
    std::string words;
    for (int i = 0; i < 60; ++i)
        words += "Parcel " + std::to_string(i * 37) + " is late; please write to Ann.\n";
    const std::string text = home.write("text", words), svg = home.path("experts.svg");
    const Ended ended = home.conclave({"experts", "starter", "--text", text, "--svg", svg});
    EXPECT_EQ(ended.code, 0) << ended.error;
    for (const char* part : {"experts 0 to 63", "MaxVio dead", "worst layer", "tune ", "freeze "})
        EXPECT_NE(ended.out.find(part), std::string::npos) << ended.out;
    EXPECT_EQ(ended.out.find('\x1b'), std::string::npos) << "colours are for terminals";
    const Ended again = home.conclave({"experts", "starter", "--svg", svg, "--json"}, words);
    EXPECT_EQ(again.code, 0) << "a picture is replaced; " << again.error;
    const json report = json::parse(again.out);
    EXPECT_EQ(report["text"]["name"], "standard input");
    EXPECT_EQ(report["text"]["layers"].size(), report["freeze"].size());
    const Ended compared = home.conclave({"experts", "starter", "--text", text, "--compare", text});
    EXPECT_NE(compared.out.find("common load"), std::string::npos) << compared.error;
}

TEST(Experts, MistakesAreOneSentence) {
    const Home home;
    const std::string text = home.write("text", "Hello");
    expectSentence(home.conclave({"experts", kTiny, "--text", text}), "has no experts");
    expectSentence(home.conclave({"experts", "starter"}, ""), "holds no text");
    expectSentence(home.conclave({"experts", "starter"}, "ab\xFF"), "UTF-8");
    expectSentence(home.conclave({"experts", "starter", "--text", home.path("nothing")}), "nothing");
    expectSentence(home.conclave({"experts", "starter", "--text", text, "--svg", text}),
                   "is not an SVG file");
    expectSentence(home.conclave({"experts", "starter", "--text", text, "--carry", "1.5"}), "--carry");
}

}  // namespace
}  // namespace conclave::tests
