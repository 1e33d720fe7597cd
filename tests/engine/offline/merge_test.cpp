#include "engine/offline/merge.h"

#include <cmath>
#include <filesystem>
#include <gtest/gtest.h>

#include "engine/formats/adapter_file.h"
#include "engine/formats/gguf.h"
#include "engine/library/library.h"
#include "engine/offline/check.h"
#include "engine/offline/golden.h"
#include "engine/offline/runner.h"
#include "tests/engine/formats/adapter_builder.h"
#include "tests/engine/formats/scratch_folder.h"
#include "tests/engine/offline/adapted_models.h"

namespace conclave::engine::offline {
namespace {

namespace fs = std::filesystem;
using base::Code;
using formats::AdapterBuilder;
using formats::ScratchFolder;
using quant::Format;

constexpr double kMostDifference = 1e-3;  // between logits of a merged model and its golden ones

base::Result<MergeReport> merge(const std::string& base, const std::string& adapter, const std::string& to,
                                Format quant = Format::F32, float strength = 1) {
    return mergeAdapters(
        {.model = base, .adapters = {{adapter, strength}}, .destination = to, .quant = quant}, {});
}

Code codeOf(const base::Result<MergeReport>& report) {
    EXPECT_FALSE(report.ok());
    return report.ok() ? Code::Internal : report.error().code;
}

void expectAsGolden(const std::string& merged, const std::string& golden) {
    const auto report = check({.model = merged, .golden = golden});
    ASSERT_TRUE(report.ok()) << base::render(report.error());
    EXPECT_TRUE(report->pass) << toJson(*report).dump();
    EXPECT_LE(report->maxLogitError, kMostDifference);
}

class MergedGolden : public testing::TestWithParam<Adapted> {};

TEST_P(MergedGolden, AnswersAsTheBaseWithTheAdapter) {
    const auto& [base, adapter] = GetParam();
    const ScratchFolder scratch;
    uint64_t last = 0, all = 1;
    const auto report = mergeAdapters({.model = base,
                                       .adapters = {{adapter, 1}},
                                       .destination = scratch.path("m.gguf"),
                                       .quant = Format::F32},
                                      [&](uint64_t done, uint64_t total) {
                                          EXPECT_GE(done, last);
                                          last = done;
                                          all = total;
                                      });
    ASSERT_TRUE(report.ok()) << base::render(report.error());
    EXPECT_EQ(last, all);
    ASSERT_EQ(report->adapters.size(), 1u);
    EXPECT_GT(report->adapters[0].counts.matrices, 0u);
    expectAsGolden(scratch.path("m.gguf"), adapter);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, MergedGolden, testing::ValuesIn(adaptersBelow(kFixtures + "/models")),
                         adaptedName);
INSTANTIATE_TEST_SUITE_P(Peft, MergedGolden, testing::ValuesIn(writtenByPeft(kFixtures)), adaptedName);
INSTANTIATE_TEST_SUITE_P(Shared, MergedGolden, testing::ValuesIn(sharedGgufBases(kShared, kFixtures)),
                         adaptedName);

TEST(Merge, StarterAdaptersKeepTheirAnswers) {
    for (const char* name : {"legal", "customer-service"}) {
        const ScratchFolder scratch;
        const auto report = merge(kStarter, kStarter + "/adapters/" + name, scratch.path("m.gguf"));
        ASSERT_TRUE(report.ok()) << base::render(report.error());
        expectAsGolden(scratch.path("m.gguf"), kFixtures + "/starter/adapters/" + std::string(name));
    }
}

TEST(Merge, BlockFormatsLoadAndStayNear) {
    const std::string folder = kFixtures + "/models/mixtral-tiny", adapter = folder + "/adapters/experts";
    const ScratchFolder scratch;
    for (const std::string& base : {folder, imported(scratch, folder)})
        for (const Format format : {Format::F16, Format::BF16, Format::Q8_0, Format::Q4_0}) {
            const auto report = merge(base, adapter, scratch.path("m.gguf"), format);
            ASSERT_TRUE(report.ok()) << base::render(report.error());
            const auto checked = check({.model = scratch.path("m.gguf"), .golden = adapter});
            ASSERT_TRUE(checked.ok()) << base::render(checked.error());
            EXPECT_LT(checked->maxLogitError, format == Format::Q4_0 ? 20 : 3) << quant::info(format).name;
            EXPECT_GT(checked->maxLogitError, 0);
        }
}

TEST(Merge, QuantisedBasesAreDecoded) {
    const std::string folder = kFixtures + "/models/deepseek-v3-tiny",
                      adapter = folder + "/adapters/attention";
    const ScratchFolder scratch;
    ASSERT_TRUE(merge(folder, adapter, scratch.path("q8.gguf"), Format::Q8_0, 0).ok());
    ASSERT_TRUE(merge(scratch.path("q8.gguf"), adapter, scratch.path("m.gguf"), Format::F32).ok());
    const auto beside = check({.model = scratch.path("q8.gguf"), .adapter = adapter, .golden = adapter});
    const auto merged = check({.model = scratch.path("m.gguf"), .golden = adapter});
    ASSERT_TRUE(beside.ok() && merged.ok());
    EXPECT_NEAR(beside->maxLogitError, merged->maxLogitError, kMostDifference);
}

TEST(Merge, StrengthsCountAndSeveralAdaptersAdd) {
    const std::string folder = kFixtures + "/models/qwen2-tiny", adapter = folder + "/adapters/attention";
    const ScratchFolder scratch;
    const auto report = mergeAdapters({.model = folder,
                                       .adapters = {{adapter, 0.25f}, {adapter, 0.5f}, {adapter, 0.25f}},
                                       .destination = scratch.path("thrice.gguf"),
                                       .quant = Format::F32},
                                      {});
    ASSERT_TRUE(report.ok()) << base::render(report.error());
    expectAsGolden(scratch.path("thrice.gguf"), adapter);
    ASSERT_TRUE(merge(folder, adapter, scratch.path("none.gguf"), Format::F32, 0).ok());
    expectAsGolden(scratch.path("none.gguf"), folder);
}

/// Logits of a few tokens.
std::vector<float> logitsOf(const std::string& path, const std::string& adapterPath) {
    const auto loaded = library::loadPath(path, "", {});
    EXPECT_TRUE(loaded.ok()) << base::render(loaded.error());
    std::shared_ptr<const model::Adapter> adapter;
    std::vector<model::AdapterUse> uses;
    if (!adapterPath.empty()) {
        const auto file = formats::openAdapter(adapterPath);
        EXPECT_TRUE(file.ok()) << base::render(file.error());
        adapter = model::loadAdapter(*file, *(*loaded)->model).value();
        uses.push_back({adapter.get()});
    }
    std::vector<base::TokenId> tokens;
    for (int i = 1; i <= 24; ++i)
        tokens.push_back(base::TokenId{i * 13});
    platform::Team team(1);
    auto runner = Runner::make(*(*loaded)->model, team, tokens.size(), uses);
    return runner->feed(tokens, model::Slice::Logits::All, nullptr);
}

double largestDifference(const std::vector<float>& x, const std::vector<float>& y) {
    EXPECT_EQ(x.size(), y.size());
    return largestError(x, y.data());
}

TEST(Merge, AHeadThatIsTheEmbeddingGetsItsOwnTensor) {
    const std::string folder = kFixtures + "/models/qwen2-tiny";
    const ScratchFolder scratch;
    AdapterBuilder builder;
    AdapterBuilder::Tensor a{{2, 64}, {}}, b{{512, 2}, {}};
    for (int i = 0; i < 128; ++i)
        a.values.push_back(0.01f * static_cast<float>(i % 17 - 8));
    for (int i = 0; i < 1024; ++i)
        b.values.push_back(0.02f * static_cast<float>(i % 29 - 14));
    builder.pair("lm_head", a, b);
    const std::string adapter = builder.writePeft(scratch, "head");
    for (const std::string& base : {folder, imported(scratch, folder)}) {
        ASSERT_TRUE(merge(base, adapter, scratch.path("m.gguf")).ok());
        const std::vector<float> beside = logitsOf(base, adapter);
        EXPECT_LE(largestDifference(logitsOf(scratch.path("m.gguf"), ""), beside), kMostDifference);
        EXPECT_GT(largestDifference(logitsOf(base, ""), beside), 0.01);
        ASSERT_TRUE(merge(base, folder + "/adapters/attention", scratch.path("m.gguf")).ok());
        EXPECT_EQ(formats::GgufFile::open(scratch.path("m.gguf"))->tensors().find("output.weight"), nullptr);
    }
}

TEST(Merge, HalvesOfKvBAreChangedWhereTheyLie) {
    const std::string base = kFixtures + "/models/deepseek-v3-tiny/model-split-mla.gguf";
    const std::string adapter = kFixtures + "/models/deepseek-v3-tiny/adapters/attention";
    const ScratchFolder scratch;
    ASSERT_TRUE(merge(base, adapter, scratch.path("m.gguf")).ok());
    EXPECT_LE(largestDifference(logitsOf(scratch.path("m.gguf"), ""), logitsOf(base, adapter)),
              kMostDifference);
}

TEST(Merge, SaysWhatItWillNotDo) {
    const ScratchFolder scratch;
    const std::string base = kFixtures + "/models/qwen2-tiny", adapter = base + "/adapters/attention";
    fs::copy(adapter, scratch.path("alora"), fs::copy_options::recursive);
    std::ifstream in(adapter + "/adapter_config.json");
    nlohmann::json config = nlohmann::json::parse(in);
    config["alora_invocation_tokens"] = {1, 2};
    scratch.write("alora/adapter_config.json", config.dump());
    EXPECT_EQ(codeOf(merge(base, scratch.path("alora"), scratch.path("m.gguf"))), Code::UnsupportedOption);
    config.erase("alora_invocation_tokens");
    config["use_dora"] = true;
    scratch.write("alora/adapter_config.json", config.dump());
    EXPECT_EQ(codeOf(merge(base, scratch.path("alora"), scratch.path("m.gguf"))), Code::UnsupportedOption);

    EXPECT_EQ(codeOf(merge(base, adapter, scratch.path("m.gguf"), Format::Q4_K)), Code::BadArgument);
    EXPECT_EQ(codeOf(merge(kFixtures + "/models/mixtral-tiny", base + "/adapters/everything-rslora",
                           scratch.path("m.gguf"))),
              Code::AdapterMismatch);
    EXPECT_EQ(
        codeOf(mergeAdapters({.model = base, .adapters = {}, .destination = scratch.path("m.gguf")}, {})),
        Code::BadArgument);
    const std::string gguf = imported(scratch, base);
    EXPECT_EQ(codeOf(merge(gguf, adapter, gguf)), Code::BadArgument);
    EXPECT_EQ(codeOf(merge(base, adapter, scratch.write("note.txt", "mine"))), Code::BadArgument);
    EXPECT_FALSE(fs::exists(scratch.path("m.gguf")));
}

}  // namespace
}  // namespace conclave::engine::offline
