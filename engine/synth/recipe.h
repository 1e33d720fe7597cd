#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "engine/model/config.h"
#include "engine/model/names.h"
#include "engine/quant/format.h"

namespace conclave::engine::synth {

/// Which tensor is in which format.
struct Recipe {
    std::string_view name;  ///< as a person types it: "q4_k_m"
    quant::Format format;   ///< of most matrices
    bool mixture;           ///< q4_k_m: some matrices get more bits
    uint32_t fileType;      ///< GGUF's general.file_type
};

/// Every recipe that can be asked for, by name.
std::span<const Recipe> recipes();

/// A tensor that a recipe is asked about; `cols` are the values of a row.
struct RecipeTensor {
    model::Role role;
    uint32_t layer = 0;
    uint64_t cols = 0;
    bool isVector = false;
};

/// The tensor's format: F32 for vectors and routers; else the recipe's, or the nearest format whose blocks
/// divide the rows: IQ4_NL for Q2_K, Q3_K and IQ4_XS, Q5_0 for Q4_K, Q5_1 for Q5_K, Q8_0 for Q6_K, and F16
/// where blocks of 32 do not divide them either. q4_k_m is llama.cpp's Q4_K_M. Thread-safe.
///
/// Source: llama_tensor_get_type in llama.cpp's src/llama-quant.cpp, for its rules and its fallbacks.
quant::Format formatOf(const Recipe& recipe, const model::ModelConfig& config, const RecipeTensor& tensor);

}  // namespace conclave::engine::synth
