#include "engine/synth/recipe.h"

namespace conclave::engine::synth {
namespace {

using model::ModelConfig;
using model::Role;
using quant::Format;

// File types: enum llama_ftype in llama.h; a single format has the number of its smallest mixture.
constexpr Recipe kRecipes[] = {
    {"f32", Format::F32, false, 0},        {"f16", Format::F16, false, 1},
    {"bf16", Format::BF16, false, 32},     {"q8_0", Format::Q8_0, false, 7},
    {"q4_0", Format::Q4_0, false, 2},      {"q4_1", Format::Q4_1, false, 3},
    {"q5_0", Format::Q5_0, false, 8},      {"q5_1", Format::Q5_1, false, 9},
    {"q4_k", Format::Q4_K, false, 14},     {"q5_k", Format::Q5_K, false, 16},
    {"q6_k", Format::Q6_K, false, 18},     {"q2_k", Format::Q2_K, false, 10},
    {"q3_k", Format::Q3_K, false, 11},     {"iq4_nl", Format::IQ4_NL, false, 25},
    {"iq4_xs", Format::IQ4_XS, false, 30}, {"mxfp4", Format::MXFP4, false, 38},
    {"q4_k_m", Format::Q4_K, true, 15},
};

/// The layers whose values and down-projections get more bits: the first and the last eighth, and between
/// them every third.
bool usesMoreBits(uint32_t layer, uint32_t layers) {
    const uint32_t eighth = layers / 8;
    return layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2;
}

Format mixed(const ModelConfig& c, const RecipeTensor& t) {
    const bool mixtral = c.experts == 8;  // its attention is a small part of it
    switch (t.role) {
    case Role::Head:
        return t.cols % quant::info(Format::Q6_K).blockValues == 0 ? Format::Q6_K : Format::Q8_0;
    case Role::Embedding:
        return c.tiedEmbeddings ? mixed(c, {Role::Head, 0, t.cols}) : Format::Q4_K;
    case Role::Key:
        return mixtral ? Format::Q8_0 : Format::Q4_K;
    case Role::Value:
        if (mixtral) return Format::Q8_0;
        return usesMoreBits(t.layer, c.layers) ? Format::Q6_K : Format::Q4_K;
    case Role::Output:
        return mixtral ? Format::Q5_K : Format::Q4_K;
    case Role::Down:
    case Role::ExpertDown:
    case Role::SharedDown:
        return usesMoreBits(t.layer, c.layers) ? Format::Q6_K : Format::Q4_K;
    default:
        return Format::Q4_K;
    }
}

Format fallbackOf(Format format) {
    switch (format) {
    case Format::Q2_K:
    case Format::Q3_K:
    case Format::IQ4_XS:
        return Format::IQ4_NL;
    case Format::Q4_K:
        return Format::Q5_0;
    case Format::Q5_K:
        return Format::Q5_1;
    case Format::Q6_K:
        return Format::Q8_0;
    default:
        return Format::F16;
    }
}

}  // namespace

std::span<const Recipe> recipes() {
    return kRecipes;
}

Format formatOf(const Recipe& recipe, const ModelConfig& config, const RecipeTensor& tensor) {
    if (tensor.isVector || tensor.role == Role::Router) return Format::F32;
    Format format = recipe.mixture ? mixed(config, tensor) : recipe.format;
    if (quant::rowBytes(format, tensor.cols) == 0) format = fallbackOf(format);
    return quant::rowBytes(format, tensor.cols) == 0 ? Format::F16 : format;
}

}  // namespace conclave::engine::synth
