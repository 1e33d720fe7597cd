#include "engine/synth/recipe.h"

#include <algorithm>
#include <gtest/gtest.h>

namespace conclave::engine::synth {
namespace {

using model::ModelConfig;
using model::Role;
using quant::Format;

const Recipe& recipe(std::string_view name) {
    return *std::find_if(recipes().begin(), recipes().end(), [&](const Recipe& r) { return r.name == name; });
}

ModelConfig layers(uint32_t count) {
    ModelConfig config;
    config.layers = count;
    return config;
}

TEST(Recipe, FallsBackWhereBlocksOf256DoNotDivideARow) {
    const ModelConfig config = layers(1);
    const auto at = [&](const char* name, uint64_t cols) {
        return formatOf(recipe(name), config, {Role::Gate, 0, cols});
    };
    EXPECT_EQ(at("q4_k", 256), Format::Q4_K);
    EXPECT_EQ(at("q4_k", 1408), Format::Q5_0);
    EXPECT_EQ(at("q5_k", 1408), Format::Q5_1);
    EXPECT_EQ(at("q6_k", 1408), Format::Q8_0);
    EXPECT_EQ(at("q2_k", 1408), Format::IQ4_NL);
    EXPECT_EQ(at("q3_k", 1408), Format::IQ4_NL);
    EXPECT_EQ(at("iq4_xs", 1408), Format::IQ4_NL);
    EXPECT_EQ(at("q4_k", 100), Format::F16);
    EXPECT_EQ(at("q8_0", 100), Format::F16);
    EXPECT_EQ(at("bf16", 100), Format::BF16);
}

TEST(Recipe, KeepsVectorsAndRoutersInFloat32) {
    EXPECT_EQ(formatOf(recipe("q4_0"), layers(1), {Role::Router, 0, 2048}), Format::F32);
    EXPECT_EQ(formatOf(recipe("q4_0"), layers(1), {Role::QueryBias, 0, 2048, true}), Format::F32);
}

TEST(Recipe, Q4KMGivesValuesAndDownProjectionsOfSomeLayersMoreBits) {
    const ModelConfig config = layers(28);
    std::vector<uint32_t> more;
    for (uint32_t layer = 0; layer < 28; ++layer) {
        const Format down = formatOf(recipe("q4_k_m"), config, {Role::Down, layer, 8960});
        EXPECT_EQ(down, formatOf(recipe("q4_k_m"), config, {Role::Value, layer, 1536}));
        if (down == Format::Q6_K) more.push_back(layer);
        EXPECT_EQ(formatOf(recipe("q4_k_m"), config, {Role::Up, layer, 1536}), Format::Q4_K);
    }
    EXPECT_EQ(more, (std::vector<uint32_t>{0, 1, 2, 5, 8, 11, 14, 17, 20, 23, 24, 25, 26, 27}));
    EXPECT_EQ(formatOf(recipe("q4_k_m"), config, {Role::ExpertDown, 2, 1408}), Format::Q8_0);
    EXPECT_EQ(formatOf(recipe("q4_k_m"), config, {Role::ExpertDown, 3, 1408}), Format::Q5_0);
}

TEST(Recipe, Q4KMGivesTheHeadMoreBitsAndATiedTableToo) {
    ModelConfig config = layers(2);
    EXPECT_EQ(formatOf(recipe("q4_k_m"), config, {Role::Head, 0, 2048}), Format::Q6_K);
    EXPECT_EQ(formatOf(recipe("q4_k_m"), config, {Role::Head, 0, 1408}), Format::Q8_0);
    EXPECT_EQ(formatOf(recipe("q4_k_m"), config, {Role::Embedding, 0, 2048}), Format::Q4_K);
    config.tiedEmbeddings = true;
    EXPECT_EQ(formatOf(recipe("q4_k_m"), config, {Role::Embedding, 0, 2048}), Format::Q6_K);
}

TEST(Recipe, Q4KMSparesTheAttentionOfEightExperts) {
    ModelConfig config = layers(32);
    config.experts = 8;
    EXPECT_EQ(formatOf(recipe("q4_k_m"), config, {Role::Value, 5, 4096}), Format::Q8_0);
    EXPECT_EQ(formatOf(recipe("q4_k_m"), config, {Role::Key, 5, 4096}), Format::Q8_0);
    EXPECT_EQ(formatOf(recipe("q4_k_m"), config, {Role::Output, 5, 4096}), Format::Q5_K);
    EXPECT_EQ(formatOf(recipe("q4_k_m"), config, {Role::Query, 5, 4096}), Format::Q4_K);
}

}  // namespace
}  // namespace conclave::engine::synth
