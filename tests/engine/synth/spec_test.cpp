#include "engine/synth/spec.h"

#include <gtest/gtest.h>

namespace conclave::engine::synth {
namespace {

std::string sentence(const std::string& path) {
    const auto spec = readSpec(path);
    return spec.ok() ? "" : base::render(spec.error());
}

TEST(Spec, FillsInWhatIsNotSaid) {
    EXPECT_EQ(toText(readSpec("synth:olmoe-1b-7b").value()), "synth:olmoe-1b-7b:q4_k_m:16");
    EXPECT_EQ(toText(readSpec("synth:olmoe-1b-7b::2").value()), "synth:olmoe-1b-7b:q4_k_m:2");
    EXPECT_EQ(toText(readSpec("synth:deepseek-v3:Q8_0").value()), "synth:deepseek-v3:q8_0:61");
}

TEST(Spec, SaysInOneSentenceWhatIsWrong) {
    EXPECT_EQ(sentence("synth:gpt-5"),
              "shape: gpt-5 is out of range; it must be one of deepseek-v2-lite, qwen3-30b-a3b, olmoe-1b-7b, "
              "qwen2.5-coder-1.5b, mixtral-8x7b, deepseek-v3, seed-236b");
    EXPECT_NE(sentence("synth:").find("one of deepseek-v2-lite"), std::string::npos);
    EXPECT_EQ(sentence("synth:olmoe-1b-7b:q9"),
              "quant: q9 is out of range; it must be one of f32, f16, bf16, q8_0, q4_0, q4_1, q5_0, q5_1, "
              "q4_k, q5_k, q6_k, q2_k, q3_k, iq4_nl, iq4_xs, mxfp4, q4_k_m");
    EXPECT_EQ(sentence("synth:olmoe-1b-7b:q8_0:0"),
              "layers: 0 is out of range; it must be 1 to 16, which olmoe-1b-7b has");
    EXPECT_EQ(sentence("synth:olmoe-1b-7b:q8_0:17"),
              "layers: 17 is out of range; it must be 1 to 16, which olmoe-1b-7b has");
    EXPECT_EQ(sentence("synth:olmoe-1b-7b:q8_0:two"),
              "synth:olmoe-1b-7b:q8_0:two: its last part is no number of layers; write "
              "synth:SHAPE:QUANT:LAYERS");
    EXPECT_NE(sentence("synth:olmoe-1b-7b:q8_0:1:2").find("too many parts"), std::string::npos);
}

TEST(Spec, IsToldFromPathsByItsBeginning) {
    EXPECT_TRUE(isSpec("synth:anything"));
    EXPECT_FALSE(isSpec("./synth:file.gguf"));
    EXPECT_FALSE(isSpec("synth"));
}

}  // namespace
}  // namespace conclave::engine::synth
