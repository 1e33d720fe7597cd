#pragma once

#include <cstdint>
#include <vector>

namespace conclave::engine::model {

/// What the routers did with the rows of one slice, layer by layer: written by `route`, read by check,
/// telemetry and steering, and forced by whoever fills `forced`. One door for all of them.
struct RouteTrace {
    struct Layer {
        uint32_t layer = 0;  ///< index of the transformer layer
        uint32_t experts = 0, chosen = 0;
        std::vector<int32_t> ids;    ///< [rows][chosen]
        std::vector<float> weights;  ///< [rows][chosen]
        std::vector<float> scores;   ///< [rows][experts], before bias
        std::vector<int32_t>
            forced;  ///< in: empty, or [rows][chosen] with -1 first in a row that chooses freely
    };
    std::vector<Layer> layers;  ///< MoE layers in order; forward() makes those that are missing
};

}  // namespace conclave::engine::model
