#pragma once

#include <cstddef>
#include <vector>

#include "engine/model/adapter_names.h"
#include "engine/quant/format.h"

namespace conclave::engine::model {

/// Where a factor of an adapter lies in its memory.
struct FactorPlace {
    quant::Format format = quant::Format::F32;
    size_t offset = 0;   ///< bytes, a multiple of 64
    bool first = false;  ///< of those that share the place; who is first fills it
};

struct PlacedPlan {
    FactorPlan plan;
    FactorPlace a, b;
};

/// Deals out memory to the factors of one pair, from `used` on. A factor that several matrices have in common
/// (kv_b's over the latent, which every head's two halves meet) lies there once, as F32, for it is read for
/// each of them; others are kept as stored.
std::vector<PlacedPlan> placeFactors(const AdapterPair& pair, std::vector<FactorPlan> plans, size_t& used);

}  // namespace conclave::engine::model
