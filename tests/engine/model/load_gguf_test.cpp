// Forms of GGUF that older and other converters write, made here from the fixtures.
#include <cstring>
#include <utility>

#include "tests/engine/model/running.h"

namespace conclave::engine::model {
namespace {

using formats::GgufFile;
using formats::GgufScalar;
using formats::GgufValue;
using formats::TensorInfo;

const std::string kWhole = kModels + "/deepseek-v3-tiny/model.gguf";
const std::string kSplit = kModels + "/deepseek-v3-tiny/model-split-mla.gguf";
const std::string kMixtral = kExtraModels + "/mixtral-window/model.gguf";

/// A GGUF file to be written: keys and tensors taken from others, changed by the test.
struct Draft {
    std::vector<std::pair<std::string, GgufValue>> keys;
    std::vector<TensorInfo> tensors;

    explicit Draft(const GgufFile& from) : tensors(from.tensors().all()) {
        for (const auto& [key, value] : from.metadata())
            if (key != "general.alignment") keys.emplace_back(key, value);
    }
    void set(const std::string& key, GgufValue value) {
        std::erase_if(keys, [&](const auto& pair) { return pair.first == key; });
        keys.emplace_back(key, std::move(value));
    }
    base::Result<std::shared_ptr<const Model>> load() const {
        std::string folder = (std::filesystem::temp_directory_path() / "conclave-draft-XXXXXX").string();
        EXPECT_NE(::mkdtemp(folder.data()), nullptr);
        std::vector<formats::GgufWriteTensor> list;
        for (const TensorInfo& tensor : tensors)
            list.push_back({tensor.name, tensor.format, tensor.shape,
                            [bytes = tensor.bytes](const auto& sink) { return sink(bytes); }});
        EXPECT_TRUE(formats::writeGguf(folder + "/model.gguf", keys, list, nullptr).ok());
        auto model = loadPath(folder + "/model.gguf");
        std::filesystem::remove_all(folder);
        return model;
    }
};

GgufFile open(const std::string& path) {
    auto file = GgufFile::open(path);
    EXPECT_TRUE(file.ok());
    return std::move(file).value();
}

void expectSameLogits(const Draft& draft, const std::string& as) {
    const auto model = draft.load();
    ASSERT_TRUE(model.ok()) << base::render(model.error());
    const auto original = mustLoad(as);
    platform::Team team(1);
    const std::vector<base::TokenId> tokens = someTokens(*original, 16, 1);
    EXPECT_EQ(runAlone(**model, team, tokens, 16), runAlone(*original, team, tokens, 16));
}

TEST(LoadGguf, ExpertsInTensorsOfTheirOwn) {
    const GgufFile file = open(kMixtral);
    Draft draft(file);
    draft.tensors.clear();
    for (const TensorInfo& tensor : file.tensors().all()) {
        const size_t at = tensor.name.find("_exps");
        if (at == std::string::npos) {
            draft.tensors.push_back(tensor);
            continue;
        }
        const size_t bytes = tensor.bytes.size() / tensor.shape[0];
        for (size_t expert = 0; expert < tensor.shape[0]; ++expert) {
            TensorInfo part = tensor;
            part.name = tensor.name.substr(0, at) + "." + std::to_string(expert) + ".weight";
            part.shape.erase(part.shape.begin());
            part.bytes = tensor.bytes.subspan(expert * bytes, bytes);
            draft.tensors.push_back(part);
        }
    }
    EXPECT_GT(draft.tensors.size(), file.tensors().all().size());
    expectSameLogits(draft, kMixtral);
}

TEST(LoadGguf, KvBWholeAndInHalves) {
    const GgufFile split = open(kSplit), whole = open(kWhole);
    Draft draft(split);
    for (const TensorInfo& tensor : whole.tensors().all())
        if (tensor.name.ends_with("attn_kv_b.weight")) draft.tensors.push_back(tensor);
    expectSameLogits(draft, kSplit);
    const auto model = draft.load();
    ASSERT_TRUE(model.ok());
    ASSERT_EQ((*model)->config.warnings.size(), 1u);
    EXPECT_NE((*model)->config.warnings[0].find("attn_kv_b"), std::string::npos);
}

TEST(LoadGguf, PredictionLayersCountAsBlocks) {
    const GgufFile file = open(kWhole);
    Draft draft(file);
    // A fifth block that only predicts: one tensor of its own and a copy of an ordinary one.
    TensorInfo own = *file.tensors().find("output_norm.weight"), copy = own;
    own.name = "blk.4.nextn.eh_proj.weight";
    copy.name = "blk.4.attn_norm.weight";
    draft.tensors.push_back(own);
    draft.tensors.push_back(copy);
    draft.set("deepseek2.block_count", GgufScalar{uint32_t{5}});
    draft.set("deepseek2.nextn_predict_layers", GgufScalar{uint32_t{1}});
    expectSameLogits(draft, kWhole);
    const auto model = draft.load();
    ASSERT_TRUE(model.ok());
    EXPECT_EQ((*model)->config.layers, 4u);
    EXPECT_EQ((*model)->config.warnings.size(), 1u);
}

TEST(LoadGguf, RopeFreqsAreUsedAndNotReported) {
    const auto model = mustLoad(kModels + "/llama-tiny/model.gguf");
    EXPECT_EQ(model->config.rope.divisors.size(), 8u);
    EXPECT_TRUE(model->config.warnings.empty());
}

TEST(LoadGguf, RopeFreqsOfAnotherSizeAreRefused) {
    const GgufFile file = open(kModels + "/llama-tiny/model.gguf");
    Draft draft(file);
    for (TensorInfo& tensor : draft.tensors)
        if (tensor.name == "rope_freqs.weight") {
            tensor.shape = {4};
            tensor.bytes = tensor.bytes.first(16);
        }
    const auto model = draft.load();
    ASSERT_FALSE(model.ok());
    EXPECT_EQ(model.error().code, base::Code::ValueOutOfRange);
}

TEST(LoadGguf, AnUnknownTensorIsAnError) {
    const GgufFile file = open(kWhole);
    Draft draft(file);
    TensorInfo extra = *file.tensors().find("output_norm.weight");
    extra.name = "blk.1.attn_sinks.weight";
    draft.tensors.push_back(extra);
    const auto model = draft.load();
    ASSERT_FALSE(model.ok());
    EXPECT_EQ(model.error().code, base::Code::UnusedTensor);
    EXPECT_EQ(model.error().field, "blk.1.attn_sinks.weight");
}

}  // namespace
}  // namespace conclave::engine::model
