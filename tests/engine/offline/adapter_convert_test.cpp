#include "engine/offline/adapter_convert.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <gtest/gtest.h>
#include <map>

#include "engine/formats/adapter_file.h"
#include "engine/formats/gguf.h"
#include "engine/offline/adapter_to_gguf.h"
#include "engine/offline/check.h"
#include "engine/offline/import.h"
#include "engine/offline/peft_config.h"
#include "tests/engine/formats/adapter_builder.h"
#include "tests/engine/formats/scratch_folder.h"
#include "tests/engine/offline/adapted_models.h"

namespace conclave::engine::offline {
namespace {

namespace fs = std::filesystem;
using base::Code;
using formats::AdapterBuilder;
using formats::AdapterFile;
using formats::ScratchFolder;
using quant::Format;

ConvertReport mustConvert(const std::string& from, const std::string& to, const std::string& model,
                          std::optional<Format> format = {}) {
    const auto report = convertAdapter({.source = from, .destination = to, .model = model, .format = format});
    EXPECT_TRUE(report.ok()) << base::render(report.error());
    return report.ok() ? *report : ConvertReport{};
}

Code codeOf(const ConvertOptions& options) {
    const auto report = convertAdapter(options);
    EXPECT_FALSE(report.ok());
    return report.ok() ? Code::Internal : report.error().code;
}

void expectPass(const std::string& base, const std::string& adapter, const std::string& golden) {
    const auto report = check({.model = base, .adapter = adapter, .golden = golden});
    ASSERT_TRUE(report.ok()) << base::render(report.error());
    EXPECT_TRUE(report->pass) << toJson(*report).dump();
}

AdapterFile mustOpen(const std::string& path) {
    auto file = formats::openAdapter(path);
    EXPECT_TRUE(file.ok()) << base::render(file.error());
    return file.ok() ? *std::move(file) : AdapterFile{};
}

std::string bytesOf(const formats::TensorInfo& tensor) {
    return {reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size()};
}

float valueOf(const formats::TensorInfo& tensor, size_t i) {
    float out = 0;
    std::memcpy(&out, tensor.bytes.data() + i * sizeof out, sizeof out);
    return out;
}

/// Tensors of one adapter are those of another, bit by bit.
void expectSameTensors(const AdapterFile& x, const AdapterFile& y) {
    EXPECT_EQ(x.tensors.all().size(), y.tensors.all().size());
    for (const formats::TensorInfo& tensor : x.tensors.all()) {
        const formats::TensorInfo* other = y.tensors.find(tensor.name);
        ASSERT_NE(other, nullptr) << tensor.name;
        EXPECT_EQ(tensor.shape, other->shape) << tensor.name;
        EXPECT_EQ(tensor.format, other->format) << tensor.name;
        EXPECT_TRUE(bytesOf(tensor) == bytesOf(*other)) << tensor.name;
    }
}

bool isFused(const AdapterFile& file) {
    return std::ranges::any_of(file.tensors.all(), [](const formats::TensorInfo& tensor) {
        return tensor.name.find("mlp.experts.lora") != std::string::npos ||
               tensor.name.find("experts.base_layer") != std::string::npos;
    });
}

void expectRoundTrip(const std::string& base, const std::string& adapter, const std::string& golden) {
    const ScratchFolder scratch;
    const std::string gguf = scratch.path("a.gguf"), peft = scratch.path("peft"),
                      again = scratch.path("b.gguf");
    const ConvertReport there = mustConvert(adapter, gguf, base);
    EXPECT_EQ(there.form, "GGUF");
    EXPECT_GT(there.pairs, 0u);
    expectPass(base, gguf, golden);
    const ConvertReport back = mustConvert(gguf, peft, base);
    EXPECT_EQ(back.form, "PEFT");
    expectPass(base, peft, golden);
    const AdapterFile first = mustOpen(adapter);
    if (!isFused(first) && there.folded == 0) expectSameTensors(first, mustOpen(peft));
    EXPECT_EQ(back.rounded + there.rounded, 0u);
    mustConvert(peft, again, base);
    expectSameTensors(mustOpen(gguf), mustOpen(again));
}

class Converted : public testing::TestWithParam<Adapted> {};

TEST_P(Converted, ThereAndBackIsTheSameAdapter) {
    const auto& [base, adapter] = GetParam();
    expectRoundTrip(base, adapter, adapter);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Converted, testing::ValuesIn(adaptersBelow(kFixtures + "/models")),
                         adaptedName);
INSTANTIATE_TEST_SUITE_P(Peft, Converted, testing::ValuesIn(writtenByPeft(kFixtures)), adaptedName);
INSTANTIATE_TEST_SUITE_P(Shared, Converted, testing::ValuesIn(sharedGgufBases(kShared, kFixtures)),
                         adaptedName);

TEST(Convert, StarterAdaptersGoThereAndBack) {
    for (const char* name : {"legal", "customer-service"})
        expectRoundTrip(kStarter, kStarter + "/adapters/" + name,
                        kFixtures + "/starter/adapters/" + std::string(name));
}

TEST(Convert, AnAdapterForOneKindOfBaseFitsTheOther) {
    const std::string folder = kFixtures + "/models/mixtral-tiny", adapter = folder + "/adapters/attention";
    const ScratchFolder scratch;
    mustConvert(adapter, scratch.path("a.gguf"), folder);
    const std::string base = imported(scratch, folder);
    mustConvert(adapter, scratch.path("b.gguf"), base);
    expectSameTensors(mustOpen(scratch.path("a.gguf")), mustOpen(scratch.path("b.gguf")));
    expectPass(folder, scratch.path("b.gguf"), adapter);
    expectPass(base, scratch.path("a.gguf"), adapter);
}

TEST(Convert, KeysAreThoseThatLlamaCppReads) {
    const std::string folder = kFixtures + "/models/deepseek-v3-tiny";
    const ScratchFolder scratch;
    fs::copy(folder + "/adapters/attention", scratch.path("in"));
    std::ifstream in(scratch.path("in/adapter_config.json"));
    nlohmann::json config = nlohmann::json::parse(in);
    config["alora_invocation_tokens"] = {7, 11};
    scratch.write("in/adapter_config.json", config.dump());
    mustConvert(scratch.path("in"), scratch.path("a.gguf"), folder);
    const auto file = formats::GgufFile::open(scratch.path("a.gguf"));
    ASSERT_TRUE(file.ok());
    EXPECT_EQ(*file->text("general.type"), "adapter");
    EXPECT_EQ(*file->text("adapter.type"), "lora");
    EXPECT_EQ(*file->text("general.architecture"), "deepseek2");
    EXPECT_EQ(*file->number("adapter.lora.alpha"), 8);
    const auto tokens = file->metadata().find("adapter.alora.invocation_tokens");
    ASSERT_NE(tokens, file->metadata().end());
    EXPECT_EQ(tokens->second, formats::GgufValue(formats::GgufArray(std::vector<uint32_t>{7, 11})));
    for (const char* name : {"blk.0.attn_k_b.weight.lora_a", "blk.0.attn_v_b.weight.lora_b"})
        EXPECT_EQ(file->tensors().find(name)->shape.size(), 3u) << name;
    mustConvert(scratch.path("a.gguf"), scratch.path("out"), folder);
    EXPECT_EQ(mustOpen(scratch.path("out")).invocationTokens, (std::vector<int32_t>{7, 11}));
    // A base that has kv_b whole is told so.
    mustConvert(scratch.path("in"), scratch.path("b.gguf"), folder + "/model.gguf");
    const auto whole = mustOpen(scratch.path("b.gguf"));
    const bool isWhole = whole.tensors.find("blk.0.attn_kv_b.weight.lora_a") != nullptr;
    EXPECT_NE(isWhole, whole.tensors.find("blk.0.attn_k_b.weight.lora_a") != nullptr);
}

/// qwen2-tiny: q_proj [64][64], k_proj [32][64].
struct Strengths : testing::Test {
    const std::string base = kFixtures + "/models/qwen2-tiny";
    ScratchFolder scratch;
    AdapterBuilder builder;
    void add(const std::string& module, uint64_t rank, uint64_t outputs) {
        AdapterBuilder::Tensor a{{rank, 64}, {}}, b{{outputs, rank}, {}};
        for (uint64_t i = 0; i < rank * 64; ++i)
            a.values.push_back(static_cast<float>(i % 13) * 0.125f - 0.7f);
        for (uint64_t i = 0; i < rank * outputs; ++i)
            b.values.push_back(static_cast<float>(i % 11) * 0.25f - 1.1f);
        builder.pair(module, a, b);
    }
    float scaleOf(const AdapterFile& file, const std::string& module, uint32_t rank) {
        return *file.scaleOf(module, rank);
    }
};

TEST_F(Strengths, OneAlphaDoesForOrdinaryRanks) {
    builder.config["rank_pattern"] = {{"k_proj", 4}};
    builder.config["r"] = 2;
    builder.config["lora_alpha"] = 6;
    add("model.layers.0.self_attn.q_proj", 2, 64);
    add("model.layers.0.self_attn.k_proj", 4, 32);
    const std::string in = builder.writePeft(scratch, "in");
    const ConvertReport report = mustConvert(in, scratch.path("a.gguf"), base);
    EXPECT_EQ(report.alpha, 6);
    EXPECT_TRUE(report.notes.empty());
    mustConvert(scratch.path("a.gguf"), scratch.path("out"), base);
    const AdapterFile back = mustOpen(scratch.path("out"));
    expectSameTensors(mustOpen(in), back);
    EXPECT_EQ(scaleOf(back, "model.layers.0.self_attn.q_proj", 2), 3.0f);
    EXPECT_EQ(scaleOf(back, "model.layers.0.self_attn.k_proj", 4), 1.5f);
}

TEST_F(Strengths, AlphaPatternsGoIntoBAndAreSaid) {
    builder.config["alpha_pattern"] = {{"k_proj", 8}};
    add("model.layers.0.self_attn.q_proj", 2, 64);
    add("model.layers.1.self_attn.q_proj", 2, 64);
    add("model.layers.0.self_attn.k_proj", 2, 32);
    const std::string in = builder.writePeft(scratch, "in");
    const ConvertReport report = mustConvert(in, scratch.path("a.gguf"), base);
    EXPECT_EQ(report.alpha, 4);
    EXPECT_EQ(report.folded, 1u);
    ASSERT_EQ(report.notes.size(), 1u);
    const AdapterFile from = mustOpen(in), to = mustOpen(scratch.path("a.gguf"));
    const auto* before = from.tensors.find("base_model.model.model.layers.0.self_attn.k_proj.lora_B.weight");
    const auto* after = to.tensors.find("blk.0.attn_k.weight.lora_b");
    ASSERT_TRUE(before != nullptr && after != nullptr);
    for (size_t i = 0; i < 64; ++i)
        EXPECT_EQ(valueOf(*after, i), 2 * valueOf(*before, i));
}

TEST_F(Strengths, AStrengthOfNothingStaysNothing) {
    builder.config["lora_alpha"] = 0;
    add("model.layers.0.self_attn.q_proj", 2, 64);
    const ConvertReport report = mustConvert(builder.writePeft(scratch, "in"), scratch.path("a.gguf"), base);
    EXPECT_EQ(report.notes.size(), 1u);
    const AdapterFile file = mustOpen(scratch.path("a.gguf"));
    for (size_t i = 0; i < 128; ++i)
        EXPECT_EQ(valueOf(*file.tensors.find("blk.0.attn_q.weight.lora_b"), i), 0.0f);
}

TEST_F(Strengths, AlphaGivesBackTheScale) {
    for (const uint32_t rank : {1u, 2u, 3u, 7u, 8u, 12u, 16u, 64u})
        for (const float scale : {1.0f, 0.1f, 2.8284271f, 5.6568542f, 0.33333334f}) {
            const float alpha = alphaFor(scale, rank);
            EXPECT_NEAR(static_cast<float>(static_cast<double>(alpha) / rank), scale, scale * 1.2e-7f)
                << rank << " " << scale;
        }
}

TEST_F(Strengths, OneExpertAndUnequalRanksComeBack) {
    const std::string model = kFixtures + "/models/qwen3-moe-tiny";
    std::ifstream config(model + "/config.json");
    const nlohmann::json shape = nlohmann::json::parse(config);
    const uint64_t hidden = shape["hidden_size"], width = shape["moe_intermediate_size"];
    const auto pair = [&](int expert, uint64_t rank) {
        AdapterBuilder::Tensor a{{rank, hidden}, std::vector<float>(rank * hidden, 0.5f)},
            b{{width, rank}, std::vector<float>(width * rank, 0.25f)};
        builder.pair("model.layers.1.mlp.experts." + std::to_string(expert) + ".gate_proj", a, b);
    };
    builder.config["rank_pattern"] = {{"experts.3.gate_proj", 1}};
    pair(1, 2);
    pair(3, 1);
    const std::string peft = builder.writePeft(scratch, "in");
    const ConvertReport there = mustConvert(peft, scratch.path("a.gguf"), model);
    EXPECT_EQ(there.pairs, 1u);
    EXPECT_EQ(there.folded, 1u);  // rank 1 beside rank 2 under one alpha
    const ConvertReport back = mustConvert(scratch.path("a.gguf"), scratch.path("out"), model);
    EXPECT_EQ(back.pairs, 2u);
    const AdapterFile in = mustOpen(peft), out = mustOpen(scratch.path("out"));
    const std::string experts = "base_model.model.model.layers.1.mlp.experts.";
    for (const char* name :
         {"1.gate_proj.lora_A.weight", "1.gate_proj.lora_B.weight", "3.gate_proj.lora_A.weight"})
        EXPECT_TRUE(bytesOf(*in.tensors.find(experts + name)) == bytesOf(*out.tensors.find(experts + name)))
            << name;
    const auto* b = out.tensors.find(experts + "3.gate_proj.lora_B.weight");
    EXPECT_EQ(b->shape, (std::vector<uint64_t>{width, 1}));
    const float was = 4.0f * 0.25f;
    EXPECT_EQ(scaleOf(out, "model.layers.1.mlp.experts.3.gate_proj", 1) * valueOf(*b, 0), was);
    EXPECT_EQ(scaleOf(out, "model.layers.1.mlp.experts.1.gate_proj", 2), 2.0f);
}

TEST_F(Strengths, FormatsThatAreAskedForRoundAndSaySo) {
    add("model.layers.0.self_attn.q_proj", 2, 64);
    const std::string in = builder.writePeft(scratch, "in");
    EXPECT_EQ(mustConvert(in, scratch.path("f32.gguf"), base).rounded, 0u);
    EXPECT_EQ(mustConvert(in, scratch.path("f16.gguf"), base, Format::F16).rounded, 2u);
    const AdapterFile half = mustOpen(scratch.path("f16.gguf"));
    EXPECT_EQ(half.tensors.all()[0].format, Format::F16);
    EXPECT_EQ(mustConvert(scratch.path("f16.gguf"), scratch.path("half"), base).rounded, 0u);
    EXPECT_EQ(mustOpen(scratch.path("half")).tensors.all()[0].format, Format::F16);
    EXPECT_EQ(codeOf({in, scratch.path("q8.gguf"), base, Format::Q8_0}), Code::BadArgument);
    builder.tensors.begin()->second.values[0] = 1e6f;
    EXPECT_EQ(codeOf({builder.writePeft(scratch, "in"), scratch.path("big.gguf"), base, Format::F16}),
              Code::ValueOutOfRange);
    EXPECT_FALSE(fs::exists(scratch.path("big.gguf")));
}

TEST_F(Strengths, NothingIsOverwrittenAndNothingIsLeftBehind) {
    add("model.layers.0.self_attn.q_proj", 2, 64);
    const std::string in = builder.writePeft(scratch, "in");
    EXPECT_EQ(codeOf({in, scratch.path("a.gguf"), "", {}}), Code::BadArgument);
    EXPECT_EQ(codeOf({in, imported(scratch, base), base, {}}), Code::BadArgument);
    EXPECT_EQ(codeOf({in, in, base, {}}), Code::BadArgument);
    mustConvert(in, scratch.path("a.gguf"), base);
    mustConvert(in, scratch.path("a.gguf"), base);
    EXPECT_EQ(codeOf({scratch.path("a.gguf"), in, base, {}}), Code::BadArgument);
    EXPECT_EQ(codeOf({scratch.path("a.gguf"), scratch.path("out"), kFixtures + "/models/mixtral-tiny", {}}),
              Code::AdapterMismatch);
    std::vector<std::string> left;
    for (const auto& entry : fs::directory_iterator(scratch.path()))
        left.push_back(entry.path().filename().string());
    std::ranges::sort(left);
    EXPECT_EQ(left, (std::vector<std::string>{"a.gguf", "base.gguf", "in"}));
}

TEST(Convert, HeadsOfKvBThatShareNothingHaveNoPlaceInPeft) {
    const std::string folder = kFixtures + "/models/deepseek-v3-tiny",
                      base = folder + "/model-split-mla.gguf";
    const ScratchFolder scratch;
    mustConvert(folder + "/adapters/attention", scratch.path("a.gguf"), base);
    const AdapterFile file = mustOpen(scratch.path("a.gguf"));
    AdapterBuilder builder;
    for (const char* name : {"blk.0.attn_k_b.weight.lora_a", "blk.0.attn_k_b.weight.lora_b"}) {
        const formats::TensorInfo& tensor = *file.tensors.find(name);
        AdapterBuilder::Tensor copy{tensor.shape, std::vector<float>(tensor.bytes.size() / sizeof(float))};
        for (size_t i = 0; i < copy.values.size(); ++i)
            copy.values[i] = static_cast<float>(i % 97) * 0.01f;
        builder.tensors[name] = copy;
    }
    const std::string foreign = builder.writeGguf(scratch, "foreign.gguf", "deepseek2", 4);
    EXPECT_EQ(codeOf({foreign, scratch.path("out"), base, {}}), Code::UnsupportedOption);
    EXPECT_FALSE(fs::exists(scratch.path("out")));
}

TEST(PeftConfiguration, NamesWhatIsCommonOnceAndTheRestByPatterns) {
    const nlohmann::ordered_json config =
        peftConfig({.base = "base",
                    .modules = {{"model.layers.0.self_attn.q_proj", 4, 8},
                                {"model.layers.1.self_attn.q_proj", 4, 8},
                                {"model.layers.0.self_attn.v_proj", 2, 8},
                                {"model.layers.0.mlp.up_proj", 4, 8},
                                {"model.layers.1.mlp.up_proj", 8, 16}},
                    .modulesOfBase = {"model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.q_proj",
                                      "model.layers.0.self_attn.v_proj", "model.layers.1.self_attn.v_proj",
                                      "model.layers.0.mlp.up_proj", "model.layers.1.mlp.up_proj"}});
    EXPECT_EQ(config["r"], 4);
    EXPECT_EQ(config["lora_alpha"], 8);
    EXPECT_EQ(config["rank_pattern"].dump(), R"({"v_proj":2,"model\\.layers\\.1\\.mlp\\.up_proj":8})");
    EXPECT_EQ(config["alpha_pattern"].dump(), R"({"model\\.layers\\.1\\.mlp\\.up_proj":16.0})");
    EXPECT_EQ(config["target_modules"].dump(), R"(["model.layers.0.self_attn.v_proj","q_proj","up_proj"])");
}

}  // namespace
}  // namespace conclave::engine::offline
