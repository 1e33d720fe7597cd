#include "engine/policy/options.h"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

namespace conclave::engine::policy {
namespace {

using base::Code;

class OptionsTest : public testing::Test {
  protected:
    void SetUp() override {
        std::string name = testing::TempDir() + "policy-XXXXXX";
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        folder_ = name;
        sources_.configFile = folder_ + "/config.toml";
        sources_.policyFolder = folder_ + "/policy.d";
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }

    void write(const std::string& file, const std::string& text) {
        std::filesystem::create_directories(std::filesystem::path(folder_ + "/" + file).parent_path());
        std::ofstream(folder_ + "/" + file) << text;
    }

    std::string folder_;
    Sources sources_;
};

TEST_F(OptionsTest, WithoutFilesEverythingIsTheDefault) {
    const auto loaded = load(sources_);
    ASSERT_TRUE(loaded.ok()) << base::render(loaded.error());
    EXPECT_EQ(loaded->options.threads, 0u);
    EXPECT_EQ(loaded->options.kernels, "");
    EXPECT_EQ(loaded->options.activations, Activations::Auto);
    EXPECT_TRUE(loaded->warnings.empty());
    EXPECT_TRUE(loaded->origin.empty());
}

TEST_F(OptionsTest, EveryKeyIsRead) {
    write("config.toml", R"(
threads = 2
kernels = "reference"
activations = "f32"
kv = "f16"
kv-memory = "1.5GiB"
adapter-memory = "1GiB"
expert-cap = 1.5
context = 4096
socket = "/run/me/engine.sock"
models-dir = ["/a", "/b"]
[models]
chat = "starter"
completion = "coder"
[limits]
connections = 7
body = "1MiB"
idle = 30
)");
    const auto loaded = load(sources_);
    ASSERT_TRUE(loaded.ok()) << base::render(loaded.error());
    const Options& o = loaded->options;
    EXPECT_EQ(o.threads, 2u);
    EXPECT_EQ(o.kernels, "reference");
    EXPECT_EQ(o.activations, Activations::F32);
    EXPECT_EQ(o.kv, Kv::F16);
    EXPECT_EQ(o.kvMemory, uint64_t{3} << 29);
    EXPECT_EQ(o.adapterMemory, uint64_t{1} << 30);
    EXPECT_EQ(o.expertCap, 1.5f);
    EXPECT_EQ(o.context, 4096u);
    EXPECT_EQ(o.socket, "/run/me/engine.sock");
    EXPECT_EQ(o.modelFolders, (std::vector<std::string>{"/a", "/b"}));
    EXPECT_EQ(o.chatModel, "starter");
    EXPECT_EQ(o.completionModel, "coder");
    EXPECT_EQ(o.connections, 7u);
    EXPECT_EQ(o.bodyBytes, uint64_t{1} << 20);
    EXPECT_EQ(o.idleSeconds, 30u);
    EXPECT_EQ(loaded->origin.at("threads"), folder_ + "/config.toml:2");
    EXPECT_EQ(loaded->origin.size(), keys().size());
}

TEST_F(OptionsTest, FlagsWinOverConfigAndPolicyOverFlags) {
    write("config.toml", "threads = 1\ncontext = 100\nkv = \"f16\"\n");
    sources_.flags = {{"threads", "2"}, {"context", "200"}};
    write("policy.d/20-site.toml", "threads = 4\n");
    write("policy.d/10-base.toml", "threads = 3\n");
    write("policy.d/notes.txt", "threads = 9\n");
    const auto loaded = load(sources_);
    ASSERT_TRUE(loaded.ok()) << base::render(loaded.error());
    EXPECT_EQ(loaded->options.threads, 4u);
    EXPECT_EQ(loaded->options.context, 200u);
    EXPECT_EQ(loaded->options.kv, Kv::F16);
    EXPECT_EQ(loaded->origin.at("threads"), folder_ + "/policy.d/20-site.toml:1");
    EXPECT_EQ(loaded->origin.at("context"), "--context");
}

TEST_F(OptionsTest, UnknownKeysAreWarnedAbout) {
    write("config.toml", "colour = \"red\"\n[app]\nfont = 12\n[models]\nchat = \"a\"\npaint = \"b\"\n");
    const auto loaded = load(sources_);
    ASSERT_TRUE(loaded.ok());
    ASSERT_EQ(loaded->warnings.size(), 3u);
    std::string all;
    for (const std::string& warning : loaded->warnings)
        all += warning + "\n";
    for (const char* part : {"config.toml:1: colour is not known", "config.toml:3: app.font is not known",
                             "config.toml:6: models.paint is not known"})
        EXPECT_NE(all.find(part), std::string::npos) << all;
    EXPECT_EQ(loaded->options.chatModel, "a");
}

TEST_F(OptionsTest, FoldersOfModelsThatAreNotThereAreWarnedAbout) {
    write("config.toml", "models-dir = [\"" + folder_ + "\", \"/nowhere/models\"]\n");
    const auto loaded = load(sources_);
    ASSERT_TRUE(loaded.ok());
    ASSERT_EQ(loaded->warnings.size(), 1u);
    EXPECT_NE(loaded->warnings[0].find("config.toml:1: models-dir: /nowhere/models is not a folder"),
              std::string::npos)
        << loaded->warnings[0];
}

struct BadLine {
    std::string text, key;
    int line;
};
class BadConfigTest : public OptionsTest, public testing::WithParamInterface<BadLine> {};

TEST_P(BadConfigTest, NamesFileLineAndKey) {
    write("config.toml", GetParam().text);
    const auto loaded = load(sources_);
    ASSERT_FALSE(loaded.ok()) << GetParam().text;
    EXPECT_EQ(loaded.error().code, Code::BadConfig);
    EXPECT_EQ(loaded.error().file, folder_ + "/config.toml:" + std::to_string(GetParam().line))
        << base::render(loaded.error());
    EXPECT_EQ(loaded.error().field, GetParam().key) << base::render(loaded.error());
}

const BadLine kBadLines[] = {
    {"threads = -1", "threads", 1},
    {"\nthreads = 5000", "threads", 2},
    {"threads = 1.5", "threads", 1},
    {"threads = true", "threads", 1},
    {"threads = \"many\"", "threads", 1},
    {"threads = \"\"", "threads", 1},
    {"threads = [1]", "threads", 1},
    {"threads = 9223372036854775807", "threads", 1},
    {"context = -5", "context", 1},
    {"context = 2147483648", "context", 1},
    {"kernels = \"\"", "kernels", 1},
    {"kernels = 7", "kernels", 1},
    {"activations = \"int4\"", "activations", 1},
    {"kv = \"q8\"", "kv", 1},
    {"kv-memory = \"lots\"", "kv-memory", 1},
    {"kv-memory = -1", "kv-memory", 1},
    {"kv-memory = \"-1GiB\"", "kv-memory", 1},
    {"expert-cap = 0.5", "expert-cap", 1},
    {"expert-cap = nan", "expert-cap", 1},
    {"expert-cap = \"1.5x\"", "expert-cap", 1},
    {"threads = 1.5", "threads", 1},
    {"socket = \"engine.sock\"", "socket", 1},
    {"socket = \"\"", "socket", 1},
    {"models-dir = []", "models-dir", 1},
    {"models-dir = [\"/a\", 7]", "models-dir", 1},
    {"models-dir = \"models\"", "models-dir", 1},
    {"[models]\nchat = 7", "models.chat", 2},
    {"[models.chat]\nname = 7", "models.chat", 1},
    {"threads = ", "syntax", 1},
    {"threads = 1\nthreads = 2", "syntax", 2},
    {"\n\n[models", "syntax", 3},
};
INSTANTIATE_TEST_SUITE_P(Table, BadConfigTest, testing::ValuesIn(kBadLines));

TEST_F(OptionsTest, TheEndOfALineIsSaidInWords) {
    write("config.toml", "threads = \nkv = \"f16\"\n");
    const std::string sentence = base::render(load(sources_).error());
    EXPECT_NE(sentence.find("the end of the line"), std::string::npos) << sentence;
    EXPECT_EQ(sentence.find("\\n"), std::string::npos) << sentence;
}

TEST_F(OptionsTest, BadFlagsAreNamed) {
    const Flag bad[] = {{"threads", "x"}, {"threads", "-1"},    {"threads", ""},    {"context", "1e3"},
                        {"kv", "f64"},    {"activations", "x"}, {"kv-memory", "x"}, {"models-dir", "x"}};
    for (const Flag& flag : bad) {
        sources_.flags = {flag};
        const auto loaded = load(sources_);
        ASSERT_FALSE(loaded.ok()) << flag.key << "=" << flag.value;
        EXPECT_EQ(loaded.error().code, Code::OutOfRange);
        EXPECT_EQ(loaded.error().field, "--" + flag.key);
    }
    sources_.flags = {{"colour", "red"}};
    EXPECT_EQ(load(sources_).error().code, Code::UnknownField);
    sources_.flags = {{"models.chat", "a"}};
    EXPECT_EQ(load(sources_).error().code, Code::UnknownField);
}

TEST_F(OptionsTest, FlagsTakeText) {
    sources_.flags = {{"threads", "3"},
                      {"kv-memory", "64 mib"},
                      {"models-dir", "/a:/b"},
                      {"expert-cap", "1.25"},
                      {"socket", "x/e.sock"}};
    const auto loaded = load(sources_);
    ASSERT_TRUE(loaded.ok()) << base::render(loaded.error());
    EXPECT_EQ(loaded->options.expertCap, 1.25f);
    EXPECT_EQ(loaded->options.threads, 3u);
    EXPECT_EQ(loaded->options.kvMemory, uint64_t{64} << 20);
    EXPECT_EQ(loaded->options.modelFolders.size(), 2u);
    EXPECT_EQ(loaded->options.socket, (std::filesystem::current_path() / "x/e.sock").string());
}

TEST_F(OptionsTest, ANamedConfigMustExist) {
    sources_.configNamed = true;
    const auto loaded = load(sources_);
    ASSERT_FALSE(loaded.ok());
    EXPECT_EQ(loaded.error().code, Code::FileNotFound);
}

TEST_F(OptionsTest, EmptyAndDamagedFiles) {
    write("config.toml", "");
    EXPECT_TRUE(load(sources_).ok());
    write("config.toml", "kernels = \"\xff\"\n");
    EXPECT_EQ(load(sources_).error().code, Code::BadConfig);
    std::filesystem::remove(sources_.configFile);
    std::filesystem::create_directory(sources_.configFile);
    EXPECT_EQ(load(sources_).error().code, Code::FileNotRegular);
}

TEST_F(OptionsTest, ABrokenPolicyIsAnErrorAndNotPassedOver) {
    write("policy.d/10.toml", "threads = \n");
    const auto loaded = load(sources_);
    ASSERT_FALSE(loaded.ok());
    EXPECT_EQ(loaded.error().code, Code::BadConfig);
}

TEST(ParseBytes, UnitsArePowersOf1024) {
    const std::pair<const char*, uint64_t> good[] = {
        {"0", 0},           {"1048576", 1048576}, {"1k", 1024}, {"2 GiB", 2147483648}, {"1.5G", 1610612736},
        {"64MB", 67108864}, {"1T", 1099511627776}};
    for (const auto& [text, bytes] : good)
        EXPECT_EQ(*parseBytes(text, "x"), bytes) << text;
    for (const char* text : {"", "G", "-1", "1.2.3", "1X", "1 G B", "0.3", "99999999T", "1e3", ".", "1,5G"})
        EXPECT_FALSE(parseBytes(text, "x").ok()) << text;
}

}  // namespace
}  // namespace conclave::engine::policy
