#include "engine/offline/production.h"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace conclave::engine::offline {
namespace {

namespace fs = std::filesystem;

const std::string kModels = CONCLAVE_SOURCE_DIR "/tests/fixtures/models/";

struct Case {
    const char* name;
    const char* model;
    const char* rounded;  ///< on a row with int8 products
    model::ActivationChoice activations = model::ActivationChoice::Preferred;
};
void PrintTo(const Case& one, std::ostream* out) {
    *out << one.model;
}

class Production : public testing::TestWithParam<Case> {};

TEST_P(Production, KeepsToItsBars) {
    const auto& [name, model, rounded, activations] = GetParam();
    for (const kernels::Kernels* row : kernels::allKernels()) {
        if (!row->supported()) continue;
        ProductionOptions options;
        options.check.model = kModels + model;
        options.check.load.kernels = row;
        options.activations = activations;
        const auto report = checkProduction(options);
        ASSERT_TRUE(report.ok()) << base::render(report.error());
        EXPECT_TRUE(report->pass) << row->name << ": " << report->maxLogitError;
        EXPECT_GT(report->maxLogitError, 0) << "nothing was rounded";
        EXPECT_GT(report->positions, 100u);
        EXPECT_LE(report->forced.sameBest, report->positions);
        if (row->preferred(quant::Format::Q8_0) == kernels::Activation::Int8) {
            EXPECT_EQ(report->rounded, rounded);
        }
    }
}

constexpr auto kInt8 = model::ActivationChoice::Int8;
constexpr Case kCases[] = {{"llama", "llama-tiny", "f16 kv"},
                           {"q4_k_m", "deepseek-v3-wide/quantized/Q4_K_M/model.gguf", "int8", kInt8},
                           {"iq4_xs", "deepseek-v3-wide/quantized/IQ4_XS/model.gguf", "int8", kInt8},
                           {"mxfp4", "deepseek-v3-wide/quantized/MXFP4_MOE/model.gguf", "int8", kInt8},
                           {"q4_k_m_small", "deepseek-v3-wide/quantized/Q4_K_M/model.gguf", "int8x2"}};
INSTANTIATE_TEST_SUITE_P(Models, Production, testing::ValuesIn(kCases),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(ProductionAdapter, KeepsToItsBarsAndToTheAdaptersGoldenFiles) {
    for (const char* adapter : {"mixtral-tiny/adapters/attention", "deepseek-v3-tiny/adapters/experts",
                                "qwen2-tiny/adapters/attention"}) {
        const fs::path path = kModels + adapter;
        for (const kernels::Kernels* row : kernels::allKernels()) {
            if (!row->supported()) continue;
            ProductionOptions options;
            options.check.model = path.parent_path().parent_path().string();
            options.check.adapter = path.string();
            options.check.load.kernels = row;
            const auto report = checkProduction(options);
            ASSERT_TRUE(report.ok()) << base::render(report.error());
            EXPECT_TRUE(report->pass) << adapter << ", " << row->name << ": " << report->maxLogitError;
            EXPECT_GT(report->maxLogitError, 0) << "nothing was rounded";
            EXPECT_GT(report->adapted.pairs, 0u);
            EXPECT_EQ(toJson(*report)["adapter"], path.string());
            // The model alone is far from what the adapter's files say.
            options.check.adapter.clear();
            options.check.golden = path.string();
            EXPECT_GT(checkProduction(options)->maxLogitError, 2 * report->mostLogitError);
        }
    }
}

TEST(ProductionText, IsMeasuredInWindowsAndBounded) {
    const std::string file = (fs::temp_directory_path() / "production_text.txt").string();
    std::ofstream(file) << std::string(3000, 'a') << " a longer text than the context holds";
    ProductionOptions options;
    options.check.model = CONCLAVE_SOURCE_DIR "/resources/models/starter";
    options.text = file;
    options.tokens = 300;
    const auto report = checkProduction(options);
    ASSERT_TRUE(report.ok()) << base::render(report.error());
    EXPECT_EQ(report->positions, 300u);
    EXPECT_FALSE(report->golden);
    EXPECT_TRUE(toJson(*report)["max_logit_error"].is_null());
    std::ofstream(file, std::ios::trunc) << "";
    EXPECT_EQ(checkProduction(options).error().field, "--text");
    fs::remove(file);
    EXPECT_FALSE(checkProduction(options).ok());
}

}  // namespace
}  // namespace conclave::engine::offline
