// Adapters that must not load: damaged ones, those of another base, names that are paths. Whatever happens,
// the shelf and the base go on as before.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <iterator>

#include "engine/library/adapter_shelf.h"
#include "engine/library/tokens_fingerprint.h"
#include "engine/model/base_fingerprint.h"
#include "tests/engine/formats/adapter_builder.h"
#include "tests/engine/library/folder.h"

namespace conclave::engine::library {
namespace {

using base::Code;
using formats::AdapterBuilder;
using formats::ScratchFolder;

const std::string kModels = CONCLAVE_SOURCE_DIR "/tests/fixtures/models/";

struct RefusedAdapter : ::testing::Test {
    testing::TestFolder cache;
    ScratchFolder folder;
    Library library{{}};
    AdapterShelf shelf{library};
    std::shared_ptr<const LoadedModel> base = *loadPath(kModels + "mixtral-tiny", "base", {});
    AdapterBuilder builder;

    static AdapterBuilder::Tensor filled(std::vector<uint64_t> shape) {
        return {shape, std::vector<float>(shape[0] * shape[1], 0.25f)};
    }
    void SetUp() override {
        const model::ModelConfig& c = base->model->config;
        builder.pair("model.layers.0.self_attn.q_proj", filled({2, c.hidden}),
                     filled({uint64_t{c.heads} * c.keyDim, 2}));
    }
    std::string refusal(const std::string& path) {
        const auto loaded = shelf.load(path, "", *base, {});
        EXPECT_FALSE(loaded.ok()) << path;
        EXPECT_EQ(shelf.stats().bytes, 0u);
        return loaded.ok() ? "" : base::render(loaded.error());
    }
    std::string refusal() { return refusal(builder.writePeft(folder, "adapter")); }
    static void expectWords(const std::string& sentence, const std::string& words) {
        EXPECT_NE(sentence.find(words), std::string::npos) << sentence;
    }
};

TEST_F(RefusedAdapter, TheOneThatTheseTestsDamageIsGood) {
    EXPECT_TRUE(shelf.load(builder.writePeft(folder, "adapter"), "", *base, {}).ok());
}

TEST_F(RefusedAdapter, OfAnotherBaseByItsFingerprint) {
    const std::string own = baseFingerprint(*base);
    builder.config[formats::kFingerprintKeyPeft] = own;
    EXPECT_TRUE(shelf.load(builder.writePeft(folder, "own"), "", *base, {}).ok());
    ASSERT_TRUE(shelf.unload("own").ok());
    const auto with = [&](const std::string& from, const std::string& to) {
        std::string other = own;
        other.replace(other.find(from), from.size(), to);
        builder.config[formats::kFingerprintKeyPeft] = other;
        return refusal();
    };
    expectWords(with("architecture=mixtral", "architecture=qwen3moe"),
                "conclave_base_fingerprint: it was trained on the architecture qwen3moe, and this model has "
                "mixtral; this adapter was made for another model");
    expectWords(with("experts=8", "experts=16"), "trained on 16 experts, and this model has 8");
    expectWords(with("vocabulary=512", "vocabulary=32000"),
                "trained on 32000 tokens, and this model has 512");
    expectWords(with("tokens=", "tokens=f"), "trained on another vocabulary");
    builder.config[formats::kFingerprintKeyPeft] = "nonsense";
    expectWords(refusal(), "the fingerprint of a base model");
    builder.config[formats::kFingerprintKeyPeft] = 7;
    expectWords(refusal(), "conclave_base_fingerprint");
}

TEST_F(RefusedAdapter, AGgufCarriesOneAsWell) {
    AdapterBuilder gguf;
    const model::ModelConfig& c = base->model->config;
    gguf.tensors["blk.0.attn_v.weight.lora_a"] = filled({2, c.hidden});
    gguf.tensors["blk.0.attn_v.weight.lora_b"] = filled({uint64_t{c.kvHeads} * c.valueDim, 2});
    const auto with = [&](const std::string& fingerprint) {
        return gguf.writeGguf(folder, "a.gguf", "llama", 4,
                              {{formats::kFingerprintKeyGguf, formats::GgufScalar(fingerprint)},
                               {"general.base_model.0.name", formats::GgufScalar(std::string("A base"))}});
    };
    const auto good = shelf.load(with(baseFingerprint(*base)), "", *base, {});
    ASSERT_TRUE(good.ok()) << base::render(good.error());
    EXPECT_EQ(good->adapter->facts->baseName, "A base");
    EXPECT_EQ(good->adapter->facts->format, "gguf");
    EXPECT_EQ(good->adapter->facts->targets, std::vector<std::string>{"attn_v"});
    ASSERT_TRUE(shelf.unload("a").ok());
    model::ModelConfig other = c;
    other.layers = 77;
    expectWords(shelf.load(with(model::baseFingerprint(other)), "", *base, {}).ok()
                    ? ""
                    : base::render(shelf.load(with(model::baseFingerprint(other)), "", *base, {}).error()),
                "conclave.base.fingerprint: it was trained on 77 layers, and this model has 3");
}

TEST_F(RefusedAdapter, OfAnotherBaseByNamesAndShapes) {
    const std::string foreign = kModels + "deepseek-v3-tiny/adapters/attention";
    expectWords(refusal(foreign), "this adapter was made for another model");
    builder.config["base_model_name_or_path"] = "acme/Mixtral-Large";
    builder.pair("model.layers.99.self_attn.q_proj", filled({2, 64}), filled({64, 2}));
    expectWords(refusal(),
                "(it says that it was trained on acme/Mixtral-Large, and this model is base); this "
                "adapter was made for another model");
    builder.tensors.clear();
    builder.pair("model.layers.0.self_attn.q_proj", filled({2, 128}), filled({64, 2}));
    expectWords(refusal(), "has shape [2, 128] where the configuration needs [rank, 64] (it says that it was "
                           "trained on acme/Mixtral-Large, and this model is base)");
    builder.config.erase("base_model_name_or_path");
    expectWords(refusal(), "needs [rank, 64]; it was probably trained on another model than base");
    builder.tensors.clear();
    builder.pair("model.layers.0.block_sparse_moe.experts.8.w1", filled({2, 64}), filled({96, 2}));
    expectWords(refusal(), "the model has 8 experts in a layer");
}

TEST_F(RefusedAdapter, OfRanksThatMakeNoSense) {
    for (const uint32_t rank : {0u, 65u, 1u << 20}) {
        builder.config["r"] = rank;
        refusal();
    }
    builder.config["r"] = 65;
    builder.tensors.clear();
    builder.pair("model.layers.0.self_attn.q_proj", filled({65, 64}), filled({64, 65}));
    expectWords(refusal(), "rank 65 is out of range (1 to 64)");
    builder.tensors["base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"] = {{0, 64}, {}};
    builder.tensors["base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight"] = {{64, 0}, {}};
    EXPECT_FALSE(refusal().empty());
}

TEST_F(RefusedAdapter, OfNumbersThatAreNone) {
    for (const float value : {std::nanf(""), INFINITY, -INFINITY})
        for (const char* half : {"lora_A", "lora_B"}) {
            const AdapterBuilder before = builder;
            builder
                .tensors[std::string("base_model.model.model.layers.0.self_attn.q_proj.") + half + ".weight"]
                .values[7] = value;
            expectWords(refusal(), "NaN or infinity is out of range (finite numbers)");
            builder = before;
        }
    builder.config["lora_alpha"] = 1e308;
    expectWords(refusal(), "its scale is out of range (a finite number)");
}

/// Every cut of a small adapter is an error, and no memory is taken for it.
TEST_F(RefusedAdapter, CutAtEveryByte) {
    const std::string path = builder.writePeft(folder, "adapter");
    for (const char* part : {"/adapter_model.safetensors", "/adapter_config.json"}) {
        std::ifstream in(path + part, std::ios::binary);
        const std::string whole(std::istreambuf_iterator<char>(in), {});
        for (size_t cut = 0; cut < whole.size(); cut += cut < 400 ? 1 : 97) {
            std::ofstream(path + part, std::ios::binary) << whole.substr(0, cut);
            ASSERT_FALSE(refusal(path).empty()) << part << cut;
        }
        std::ofstream(path + part, std::ios::binary) << whole;
    }
    EXPECT_TRUE(shelf.load(path, "", *base, {}).ok());
}

TEST_F(RefusedAdapter, OfUnknownFields) {
    builder.config["use_everything"] = true;
    expectWords(refusal(), "use_everything: true is not supported; the field is not known here");
    builder.config["use_everything"] = nullptr;
    EXPECT_TRUE(shelf.load(builder.writePeft(folder, "adapter"), "", *base, {}).ok());
}

TEST_F(RefusedAdapter, UnderNamesThatArePathsOrTaken) {
    const std::string path = builder.writePeft(folder, "adapter");
    using namespace std::string_literals;
    for (const std::string& name :
         {"../x"s, "/etc/passwd"s, "a/b"s, "."s, ".."s, ".hidden"s, "a\0b"s, "a\nb"s}) {
        const auto loaded = shelf.load(path, name, *base, {});
        ASSERT_FALSE(loaded.ok()) << name;
        EXPECT_EQ(loaded.error().code, Code::BadArgument) << name;
        EXPECT_EQ(shelf.get(name, *base, {}).error().code, Code::UnknownAdapter) << name;
    }
    ASSERT_TRUE(shelf.load(path, "mine", *base, {}).ok());
    builder.config["lora_alpha"] = 5;
    const auto second = shelf.load(builder.writePeft(folder, "second"), "mine", *base, {});
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(base::render(second.error()),
              "another model or adapter has the name mine; choose another name or unload it first");
}

}  // namespace
}  // namespace conclave::engine::library
