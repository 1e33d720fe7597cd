#include "engine/model/base_fingerprint.h"

#include <gtest/gtest.h>

#include "tests/engine/model/running.h"

namespace conclave::engine::model {
namespace {

using base::Code;

ModelConfig configOf(const std::string& path) {
    return mustLoad(path)->config;
}

std::string refusal(const std::string& wanted, const std::string& model) {
    const auto checked = checkFingerprint(wanted, model, "a.gguf", "key");
    return checked.ok() ? "" : base::render(checked.error());
}

TEST(BaseFingerprint, IsOneLineOfNumbers) {
    EXPECT_EQ(
        baseFingerprint(configOf(kModels + "/mixtral-tiny"), "0123"),
        "conclave-base-1 architecture=mixtral layers=3 hidden=64 heads=4 kv_heads=2 key=16 value=16 latent=0 "
        "query_latent=0 bias=0 dense=0 expert_layers=3 experts=8 expert=96 shared=0 vocabulary=512 "
        "tokens=0123");
}

TEST(BaseFingerprint, NamesTheFirstThatDiffers) {
    const ModelConfig base = configOf(kModels + "/deepseek-v3-tiny");
    const std::string is = baseFingerprint(base, "aa");
    EXPECT_EQ(refusal(is, is), "");
    EXPECT_EQ(refusal(baseFingerprint(base), is), "") << "tokens that are not known are not compared";
    ModelConfig other = base;
    other.vocabulary += 1;
    EXPECT_NE(refusal(baseFingerprint(other), is)
                  .find(" tokens, and this model has " + std::to_string(base.vocabulary)),
              std::string::npos);
    other.layers = 61;
    EXPECT_NE(
        refusal(baseFingerprint(other), is).find("key: it was trained on 61 layers, and this model has "),
        std::string::npos);
    other.architecture = "olmoe";
    EXPECT_EQ(
        refusal(baseFingerprint(other), is),
        "a.gguf: key: it was trained on the architecture olmoe, and this model has deepseek; this adapter "
        "was made for another model");
    EXPECT_NE(refusal(baseFingerprint(base, "bb"), is).find("another vocabulary"), std::string::npos);
}

TEST(BaseFingerprint, WhatIsNoneIsRefused) {
    const std::string is = baseFingerprint(configOf(kModels + "/mixtral-tiny"));
    const auto codeOf = [&](const std::string& wanted) {
        const auto checked = checkFingerprint(wanted, is, "a.gguf", "key");
        return checked.ok() ? Code::Internal : checked.error().code;
    };
    EXPECT_EQ(codeOf(""), Code::ValueOutOfRange);
    EXPECT_EQ(codeOf("mixtral"), Code::ValueOutOfRange);
    EXPECT_EQ(codeOf("conclave-base-2 x=1"), Code::UnsupportedOption);
    EXPECT_EQ(codeOf("conclave-base-1"), Code::AdapterMismatch);
    EXPECT_EQ(codeOf(is + " layers=3"), Code::ValueOutOfRange);
    EXPECT_EQ(codeOf(is + "  more=1"), Code::ValueOutOfRange);
    EXPECT_EQ(codeOf(is + " word"), Code::ValueOutOfRange);
}

}  // namespace
}  // namespace conclave::engine::model
