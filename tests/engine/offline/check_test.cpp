#include "engine/offline/check.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <string>
#include <vector>

#include "engine/formats/gguf.h"
#include "tests/engine/offline/adapted_models.h"

namespace conclave::engine::offline {
namespace {

namespace fs = std::filesystem;
using base::Code;

const std::string kFixtures = CONCLAVE_SOURCE_DIR "/tests/fixtures";
const std::string kShared = CONCLAVE_SOURCE_DIR "/../shared/models";

/// Every model below `root` that has golden files beside it: folders with safetensors, and each GGUF file.
std::vector<std::string> modelsBelow(const std::string& root) {
    std::vector<std::string> out;
    std::error_code missing;
    for (fs::recursive_directory_iterator at(root, missing), end; !missing && at != end;
         at.increment(missing)) {
        const fs::path folder = at->path().parent_path();
        if (!fs::exists(folder / "golden.safetensors", missing) ||
            folder.parent_path().filename() == "adapters")
            continue;
        if (at->path().filename() == "model.safetensors")
            out.push_back(folder.string());
        else if (at->path().extension() == ".gguf")
            out.push_back(at->path().string());
    }
    std::sort(out.begin(), out.end());
    return out;
}

/// The shared models that are no fixtures: those run in every clone anyway.
std::vector<std::string> sharedOnly() {
    std::vector<std::string> out = modelsBelow(kShared);
    std::erase_if(out, [](const std::string& path) {
        const fs::path fixture = kFixtures / fs::path("models") / fs::path(path).lexically_relative(kShared);
        return fs::exists(fs::is_directory(path) ? fixture / "model.safetensors" : fixture);
    });
    return out;
}

std::string caseName(const testing::TestParamInfo<std::string>& info) {
    std::string name =
        fs::path(info.param).lexically_relative(fs::path(info.param).parent_path().parent_path()).string();
    for (char& c : name)
        if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
    return name + "_" + std::to_string(info.index);
}

void expectPass(const CheckOptions& options) {
    const auto report = check(options);
    ASSERT_TRUE(report.ok()) << base::render(report.error());
    EXPECT_TRUE(report->pass) << toJson(*report).dump();
    EXPECT_LE(report->maxLogitError,
              1e-4);  // far inside what is promised: the oracle itself is rounded to float32
    EXPECT_EQ(report->routingAgree, report->routingTotal);
    EXPECT_EQ(report->tokensAgree, report->tokensTotal);
    EXPECT_EQ(report->mode, "exact");
    EXPECT_GT(report->prompts, 0u);
}

/// A copy of a fixture to be damaged.
class Copy {
  public:
    explicit Copy(const std::string& fixture) {
        std::string pattern = (fs::temp_directory_path() / "conclave-check-XXXXXX").string();
        path_ = ::mkdtemp(pattern.data());
        fs::copy(kFixtures + "/models/" + fixture, path_, fs::copy_options::recursive);
    }
    ~Copy() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    const std::string& path() const { return path_; }
    std::string read(const std::string& name) const {
        std::ifstream in(path_ + "/" + name, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    void write(const std::string& name, const std::string& text) const {
        std::ofstream(path_ + "/" + name, std::ios::binary) << text;
    }

  private:
    std::string path_;
};

Code codeOf(const CheckOptions& options) {
    const auto report = check(options);
    EXPECT_FALSE(report.ok());
    return report.ok() ? Code::Internal : report.error().code;
}

// --- the golden suite
// ----------------------------------------------------------------------------------------

class Golden : public testing::TestWithParam<std::string> {};

TEST_P(Golden, Passes) {
    expectPass({.model = GetParam()});
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Golden, testing::ValuesIn(modelsBelow(kFixtures + "/models")), caseName);
INSTANTIATE_TEST_SUITE_P(Extra, Golden, testing::ValuesIn(modelsBelow(kFixtures + "/models-extra")),
                         caseName);
INSTANTIATE_TEST_SUITE_P(Shared, Golden, testing::ValuesIn(sharedOnly()), caseName);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Golden);

TEST(GoldenSuite, FindsItsModels) {
    EXPECT_GE(modelsBelow(kFixtures + "/models").size(), 15u);
    EXPECT_GE(modelsBelow(kFixtures + "/models-extra").size(), 14u);
}

TEST(GoldenSuite, SharedModelsWherePresent) {
    if (!fs::exists(kShared)) GTEST_SKIP() << "no " << kShared << " on this machine";
    EXPECT_GE(modelsBelow(kShared).size(), 39u);
}

class AdaptedGolden : public testing::TestWithParam<Adapted> {};

TEST_P(AdaptedGolden, Passes) {
    const auto& [base, adapter] = GetParam();
    const auto report = check({.model = base, .adapter = adapter});
    ASSERT_TRUE(report.ok()) << base::render(report.error());
    EXPECT_TRUE(report->pass) << toJson(*report).dump();
    EXPECT_GE(report->adapted.matrices, report->adapted.pairs);
    EXPECT_FALSE(check({.model = base, .golden = adapter})->pass) << "the adapter does nothing";
}

INSTANTIATE_TEST_SUITE_P(Fixtures, AdaptedGolden, testing::ValuesIn(adaptersBelow(kFixtures + "/models")),
                         adaptedName);

INSTANTIATE_TEST_SUITE_P(Peft, AdaptedGolden, testing::ValuesIn(writtenByPeft(kFixtures)), adaptedName);

TEST(AdaptedGoldenSuite, FindsItsAdapters) {
    EXPECT_GE(adaptersBelow(kFixtures + "/models").size(), 15u);
    EXPECT_GE(writtenByPeft(kFixtures).size(), 23u);
}

TEST(Check, StarterAdaptersPass) {
    const std::string starter = CONCLAVE_SOURCE_DIR "/resources/models/starter";
    for (const char* name : {"legal", "customer-service"}) {
        const auto report = check({.model = starter,
                                   .adapter = starter + "/adapters/" + name,
                                   .golden = kFixtures + "/starter/adapters/" + name});
        ASSERT_TRUE(report.ok()) << base::render(report.error());
        EXPECT_TRUE(report->pass) << toJson(*report).dump();
        EXPECT_EQ(report->adapted.matrices, 42u);
    }
}

TEST(Check, StarterPasses) {
    expectPass({.model = CONCLAVE_SOURCE_DIR "/resources/models/starter", .golden = kFixtures + "/starter"});
}

TEST(Check, OneThreadGivesTheSameFigures) {
    const CheckOptions options{.model = kFixtures + "/models/deepseek-v3-tiny", .threads = 1};
    const CheckOptions more{.model = options.model};
    const auto one = check(options), many = check(more);
    ASSERT_TRUE(one.ok() && many.ok());
    EXPECT_EQ(toJson(*one), toJson(*many));
}

// --- verdicts
// ------------------------------------------------------------------------------------------------

TEST(Check, ReportsWhatTheCommandPrints) {
    const auto report = check({.model = kFixtures + "/models/mixtral-tiny"});
    ASSERT_TRUE(report.ok());
    const nlohmann::json json = toJson(*report);
    std::vector<std::string> keys;
    for (const auto& [key, value] : json.items())
        keys.push_back(key);
    EXPECT_EQ(keys, (std::vector<std::string>{"greedy_agree", "greedy_total", "kernels", "max_logit_error",
                                              "mode", "model", "pass", "prompts", "routing_agree",
                                              "routing_forced", "routing_total"}));
    EXPECT_EQ(json["prompts"], 4);
    EXPECT_EQ(json["routing_total"].get<int>() + json["routing_forced"].get<int>(), 133 * 3);
}

TEST(Check, OtherWeightsFail) {
    const Copy copy("llama-tiny");
    std::string weights = copy.read("model.safetensors");
    // The last tensor's values: scaling one changes some logits, but leaves a model.
    for (size_t at = weights.size() - 4000; at < weights.size(); at += 4)
        weights[at + 3] = static_cast<char>(weights[at + 3] ^ 0x80);
    copy.write("model.safetensors", weights);
    const auto report = check({.model = copy.path()});
    ASSERT_TRUE(report.ok()) << base::render(report.error());
    EXPECT_FALSE(report->pass);
    EXPECT_GT(report->maxLogitError, kMostLogitError);
}

TEST(Check, NumbersThatAreNoneFailAndAreNullInJson) {
    const Copy copy("llama-tiny");
    std::string weights = copy.read("model.safetensors");
    for (size_t at = weights.size() - 4000; at < weights.size(); ++at)
        weights[at] = static_cast<char>(0xff);
    copy.write("model.safetensors", weights);
    const auto report = check({.model = copy.path()});
    ASSERT_TRUE(report.ok()) << base::render(report.error());
    EXPECT_FALSE(report->pass);
    EXPECT_TRUE(toJson(*report)["max_logit_error"].is_null());
}

TEST(Check, UnclearChoicesTakeTheGoldenExperts) {
    // All margins are set to 0: every choice is forced, and the wrong experts (all rows 0 … k - 1) spoil the
    // logits.
    const Copy copy("mixtral-tiny");
    std::string golden = copy.read("golden.safetensors");
    uint64_t headerBytes = 0;
    std::memcpy(&headerBytes, golden.data(), 8);
    const nlohmann::json header = nlohmann::json::parse(golden.substr(8, headerBytes));
    for (const auto& [name, tensor] : header.items()) {
        const size_t begin = 8 + headerBytes + tensor["data_offsets"][0].get<size_t>();
        const size_t end = 8 + headerBytes + tensor["data_offsets"][1].get<size_t>();
        if (name.starts_with("margins."))
            std::fill(golden.begin() + static_cast<ptrdiff_t>(begin),
                      golden.begin() + static_cast<ptrdiff_t>(end), '\0');
        if (name.starts_with("experts."))
            for (size_t at = begin; at < end; at += 4)
                golden[at] = static_cast<char>((at - begin) / 4 % 2);
    }
    copy.write("golden.safetensors", golden);
    const auto report = check({.model = copy.path()});
    ASSERT_TRUE(report.ok()) << base::render(report.error());
    EXPECT_EQ(report->routingForced, 133u * 3);
    EXPECT_EQ(report->routingTotal, 0u);
    EXPECT_GT(report->maxLogitError, kMostLogitError);
}

TEST(Check, RoundedActivationsAreAModeOfTheirOwn) {
    CheckOptions options{.model = kFixtures + "/models/deepseek-v3-wide/quantized/Q4_K_M/model.gguf"};
    options.load.activations = model::ActivationChoice::Int8;
    options.load.kv = kernels::KvType::F16;
    const auto report = check(options);
    ASSERT_TRUE(report.ok()) << base::render(report.error());
    EXPECT_EQ(report->mode, "int8/f16");
    EXPECT_GT(report->maxLogitError, kMostLogitError);  // rounding shows in a random model
    EXPECT_TRUE(std::isfinite(report->maxLogitError));
}

// --- bad input
// -----------------------------------------------------------------------------------------------

/// Part `number` of `count` of a file, as other GGUF tools split it: the keys stand in the first, the tensors
/// in turn.
void writePart(const formats::GgufFile& whole, const std::string& path, uint16_t number, uint16_t count) {
    std::vector<std::pair<std::string, formats::GgufValue>> metadata;
    if (number == 0)
        for (const auto& [key, value] : whole.metadata())
            if (key != "general.alignment") metadata.emplace_back(key, value);
    const std::vector<formats::TensorInfo>& all = whole.tensors().all();
    metadata.emplace_back("split.no", formats::GgufScalar(number));
    metadata.emplace_back("split.count", formats::GgufScalar(count));
    metadata.emplace_back("split.tensors.count", formats::GgufScalar(static_cast<int32_t>(all.size())));
    std::vector<formats::GgufWriteTensor> tensors;
    for (size_t i = number; i < all.size(); i += count)
        tensors.push_back({all[i].name, all[i].format, all[i].shape,
                           [bytes = all[i].bytes](const auto& sink) { return sink(bytes); }});
    const auto written = formats::writeGguf(path, metadata, tensors, {});
    ASSERT_TRUE(written.ok()) << base::render(written.error());
}

TEST(Check, ASplitFileIsItsWhole) {
    const Copy copy("llama-tiny");
    const auto whole = formats::GgufFile::open(copy.path() + "/model.gguf");
    ASSERT_TRUE(whole.ok());
    for (uint16_t number = 0; number < 3; ++number)
        writePart(*whole, copy.path() + "/part-0000" + std::to_string(number + 1) + "-of-00003.gguf", number,
                  3);
    expectPass({.model = copy.path() + "/part-00001-of-00003.gguf"});
    fs::remove(copy.path() + "/part-00002-of-00003.gguf");
    EXPECT_EQ(codeOf({.model = copy.path() + "/part-00001-of-00003.gguf"}), Code::FileNotFound);
}

TEST(CheckInput, MissingModelAndWrongKinds) {
    EXPECT_EQ(codeOf({.model = "/nowhere/at/all"}), Code::FileNotFound);
    EXPECT_EQ(codeOf({.model = "/dev/null"}), Code::FileNotRegular);
    EXPECT_EQ(codeOf({.model = CONCLAVE_SOURCE_DIR "/engine"}), Code::NotAModelFolder);
    EXPECT_EQ(codeOf({.model = CONCLAVE_SOURCE_DIR "/LICENSE"}), Code::NotGguf);
}

TEST(CheckInput, MissingGoldenFiles) {
    EXPECT_EQ(codeOf({.model = CONCLAVE_SOURCE_DIR "/resources/models/starter"}), Code::GoldenMissing);
    EXPECT_EQ(codeOf({.model = kFixtures + "/models/llama-tiny", .golden = "/nowhere"}), Code::GoldenMissing);
}

TEST(CheckInput, GoldenFilesOfAnotherModel) {
    EXPECT_EQ(codeOf({.model = kFixtures + "/models/llama-tiny", .golden = kFixtures + "/starter"}),
              Code::GoldenMismatch);
    EXPECT_EQ(
        codeOf({.model = kFixtures + "/models/mixtral-tiny", .golden = kFixtures + "/models/llama-tiny"}),
        Code::GoldenMismatch);
}

TEST(CheckInput, MoreTokensThanEmbeddingRows) {
    const Copy copy("llama-tiny");
    nlohmann::json tokenizer = nlohmann::json::parse(copy.read("tokenizer.json"));
    tokenizer["added_tokens"].push_back({{"id", 512},
                                         {"content", "<extra>"},
                                         {"special", true},
                                         {"single_word", false},
                                         {"lstrip", false},
                                         {"rstrip", false},
                                         {"normalized", false}});
    copy.write("tokenizer.json", tokenizer.dump());
    EXPECT_EQ(codeOf({.model = copy.path()}), Code::VocabularyMismatch);
}

TEST(CheckInput, PromptsThatTheContextOrItsMemoryDoNotHold) {
    const std::string model = kFixtures + "/models/llama-tiny";
    EXPECT_EQ(codeOf({.model = model, .context = 3}), Code::OutOfRange);
    EXPECT_EQ(codeOf({.model = model, .kvBytes = 1}), Code::OutOfRange);
    expectPass({.model = model, .context = 512, .kvBytes = uint64_t{64} << 20});
}

TEST(CheckInput, TooManyThreads) {
    EXPECT_EQ(codeOf({.model = kFixtures + "/models/llama-tiny", .threads = 100000}), Code::TooManyThreads);
}

}  // namespace
}  // namespace conclave::engine::offline
