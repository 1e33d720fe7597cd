#pragma once

#include <cstdint>
#include <vector>

namespace conclave::engine::model {

/// What the routers did with the rows of one slice, layer by layer: written by `route`, read by check,
/// telemetry and steering, and forced by whoever fills `forced`. One door for all of them.
struct RouteTrace {
    struct Layer {
        uint32_t layer = 0;  ///< index of the transformer layer
        uint32_t experts = 0;
        uint32_t chosen = 0;       ///< experts that work on a token, as the slice's options say
        std::vector<int32_t> ids;  ///< [rows][chosen]; those that a floor left out are -1, behind the others
        std::vector<float> weights;  ///< [rows][chosen]
        std::vector<float> scores;   ///< [rows][experts], before the correction bias
        /// In: empty, or [rows][chosen] with -1 first in a row that chooses freely, elsewhere for no expert.
        std::vector<int32_t> forced;
    };
    std::vector<Layer> layers;  ///< MoE layers in order; forward() makes those that are missing
};

}  // namespace conclave::engine::model
