#include "engine/synth/synth.h"

#include <cmath>
#include <gtest/gtest.h>

#include "engine/synth/config.h"
#include "tests/engine/model/running.h"

namespace conclave::engine::synth {
namespace {

struct Known {
    const char* shape;
    double billions;
};

class EveryShape : public testing::TestWithParam<Known> {};

TEST_P(EveryShape, HasAsManyParametersAsWasPublished) {
    const auto model = makeModel(readSpec(std::string("synth:") + GetParam().shape).value());
    ASSERT_TRUE(model.ok()) << base::render(model.error());
    EXPECT_NEAR(static_cast<double>(model->file.parameters) / 1e9, GetParam().billions,
                GetParam().billions / 100);
}

TEST_P(EveryShape, IsReadBackFromItsKeysAsWhatItIs) {
    const Spec spec = readSpec(std::string("synth:") + GetParam().shape).value();
    const auto file = openGguf(std::string("synth:") + GetParam().shape);
    ASSERT_TRUE(file.ok()) << base::render(file.error());
    EXPECT_EQ(file->path(), toText(spec));
    const auto read = model::configFromGguf(*file);
    ASSERT_TRUE(read.ok()) << base::render(read.error());
    const model::ModelConfig& c = *read;
    const model::ModelConfig wanted = configOf(*spec.shape, 0).value().config;
    EXPECT_EQ(c.layers, wanted.layers);
    EXPECT_EQ(c.hidden, wanted.hidden);
    EXPECT_EQ(c.vocabulary, wanted.vocabulary);
    EXPECT_EQ(c.context, wanted.context);
    EXPECT_EQ(c.normEps, wanted.normEps);
    EXPECT_EQ(c.tiedEmbeddings, wanted.tiedEmbeddings);
    EXPECT_EQ(c.heads, wanted.heads);
    EXPECT_EQ(c.kvHeads, wanted.kvHeads);
    EXPECT_EQ(c.keyDim, wanted.keyDim);
    EXPECT_EQ(c.valueDim, wanted.valueDim);
    EXPECT_NEAR(c.attentionScale, wanted.attentionScale, 1e-6);
    EXPECT_EQ(c.qkNorm, wanted.qkNorm);
    EXPECT_EQ(c.latentRank, wanted.latentRank);
    EXPECT_EQ(c.queryRank, wanted.queryRank);
    EXPECT_EQ(c.moeLayer, wanted.moeLayer);
    EXPECT_EQ(c.experts, wanted.experts);
    EXPECT_EQ(c.chosenExperts, wanted.chosenExperts);
    EXPECT_EQ(c.expertIntermediate, wanted.experts > 0 ? wanted.expertIntermediate : c.expertIntermediate);
    EXPECT_EQ(c.sharedIntermediate, wanted.sharedIntermediate);
    EXPECT_EQ(c.route.scores, wanted.route.scores);
    EXPECT_EQ(c.route.normalise, wanted.route.normalise);
    EXPECT_EQ(c.route.scale, wanted.route.scale);
    EXPECT_EQ(c.route.groups, wanted.route.groups);
    EXPECT_EQ(c.route.chosenGroups, wanted.route.chosenGroups);
    EXPECT_EQ(c.rope.theta, wanted.rope.theta);
    EXPECT_EQ(c.rope.scaling, wanted.rope.scaling);
    EXPECT_EQ(c.rope.factor, wanted.rope.factor);
    EXPECT_TRUE(c.warnings.empty());
}

INSTANTIATE_TEST_SUITE_P(Shapes, EveryShape,
                         testing::Values(Known{"deepseek-v2-lite", 15.7}, Known{"qwen3-30b-a3b", 30.5},
                                         Known{"olmoe-1b-7b", 6.92}, Known{"qwen2.5-coder-1.5b", 1.54},
                                         Known{"mixtral-8x7b", 46.7}, Known{"deepseek-v3", 671},
                                         Known{"seed-236b", 236}),
                         [](const auto& info) {
                             std::string name = info.param.shape;
                             for (char& c : name)
                                 if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
                             return name;
                         });

TEST(Synth, DrawsTheSameBytesAgain) {
    const Spec spec = readSpec("synth:qwen2.5-coder-1.5b:q4_k_m:1").value();
    const SynthModel one = makeModel(spec).value(), two = makeModel(spec).value();
    Spec other = spec;
    other.seed = 2;
    const SynthModel three = makeModel(other).value();
    bool differs = false;
    for (size_t i = 0; i < one.file.tensors.size(); ++i) {
        std::vector<std::byte> a(4096), b(4096), c(4096);
        one.file.tensors[i].fill(0, a);
        two.file.tensors[i].fill(0, b);
        three.file.tensors[i].fill(0, c);
        EXPECT_EQ(a, b) << one.file.tensors[i].name;
        differs = differs || a != c;
    }
    EXPECT_TRUE(differs);
}

TEST(Synth, RunsWithFiniteLogits) {
    platform::Team team(platform::defaultThreads());
    for (const char* path : {"synth:olmoe-1b-7b:q4_k_m:1", "synth:qwen2.5-coder-1.5b:iq4_nl:1"}) {
        const auto file = openGguf(path);
        ASSERT_TRUE(file.ok()) << base::render(file.error());
        model::LoadOptions options;
        options.activations = model::ActivationChoice::Preferred;
        options.maxRows = 4;
        const auto model = model::loadModel(*file, options);
        ASSERT_TRUE(model.ok()) << base::render(model.error());
        const auto logits = model::runAlone(**model, team, model::someTokens(**model, 3, 7), 3);
        double squares = 0;
        for (const float logit : logits) {
            ASSERT_TRUE(std::isfinite(logit));
            squares += static_cast<double>(logit) * logit;
        }
        EXPECT_NEAR(std::sqrt(squares / static_cast<double>(logits.size())), 1, 0.3) << path;
    }
}

}  // namespace
}  // namespace conclave::engine::synth
