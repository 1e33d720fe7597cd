#include "engine/model/names.h"

#include <gtest/gtest.h>

#include "engine/model/family.h"
#include "tests/engine/model/running.h"

namespace conclave::engine::model {
namespace {

TEST(Names, NumbersAreFilledInAndFound) {
    EXPECT_EQ(fillName("model.layers.{layer}.experts.{expert}.w", 12, 3), "model.layers.12.experts.3.w");
    const auto numbers = matchName("model.layers.{layer}.experts.{expert}.w", "model.layers.12.experts.3.w");
    ASSERT_TRUE(numbers.has_value());
    EXPECT_EQ(numbers->layer, 12u);
    EXPECT_EQ(numbers->expert, 3u);
    EXPECT_FALSE(matchName("blk.{layer}.w", "blk.03.w"));
    EXPECT_FALSE(matchName("blk.{layer}.w", "blk.x.w"));
    EXPECT_FALSE(matchName("blk.{layer}.w", "blk.99999999999.w"));
    EXPECT_FALSE(matchName("blk.{layer}.w", "blk.3.weight"));
}

TEST(Names, EveryTensorOfAFileTranslatesBothWays) {
    const auto file = formats::GgufFile::open(kModels + "/deepseek-v3-tiny/model.gguf");
    const auto folder = formats::openHfFolder(kModels + "/deepseek-v3-tiny", formats::Weights::WithWeights);
    ASSERT_TRUE(file.ok() && folder.ok());
    for (const formats::TensorInfo& tensor : folder->tensors.all()) {
        const auto name = translateName(kDeepseek.names, tensor.name, Naming::HuggingFace);
        ASSERT_TRUE(name.has_value()) << tensor.name;
        EXPECT_NE(file->tensors().find(*name), nullptr) << *name;
    }
    for (const formats::TensorInfo& tensor : file->tensors().all()) {
        const auto name = translateName(kDeepseek.names, tensor.name, Naming::Gguf);
        ASSERT_TRUE(name.has_value()) << tensor.name;
        EXPECT_NE(folder->tensors.find(*name), nullptr) << *name;
    }
}

TEST(Names, WhatOneSchemeLacksHasNoName) {
    EXPECT_EQ(translateName(kDeepseek.names, "blk.1.attn_k_b.weight", Naming::Gguf), std::nullopt);
    EXPECT_EQ(translateName(kDense.names, "model.layers.1.mlp.gate.weight", Naming::HuggingFace),
              std::nullopt);
}

TEST(Names, RolesAreUniqueInEachFamilyButForAlternatives) {
    for (const Family* family : {&kDeepseek, &kMixtral, &kQwen3Moe, &kOlmoe, &kDense})
        for (const NameRow& a : family->names)
            for (const NameRow& b : family->names)
                if (&a != &b) {
                    EXPECT_TRUE(a.huggingFace.empty() || a.huggingFace != b.huggingFace) << a.huggingFace;
                    EXPECT_TRUE(a.gguf.empty() || a.gguf != b.gguf) << a.gguf;
                }
}

}  // namespace
}  // namespace conclave::engine::model
