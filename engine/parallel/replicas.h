#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/result.h"

namespace conclave::engine::parallel {

struct ReplicaOptions {
    uint32_t devices = 1;
    double extra = 0.125;  ///< most extra copies of a layer's experts, as a share of their number; 0–1
};

/// Where the experts of one layer live.
struct LayerPlacement {
    std::vector<std::vector<uint32_t>>
        devices;           ///< [experts], those that hold a copy, ascending; at least one
    double unplanned = 1;  ///< straggler factor where each device holds as many neighbouring experts
    double planned = 1;    ///< and of this placement, both on the counts that were planned from

    /// The device for the n-th token of an expert: copies take turns, so that they share evenly.
    uint32_t deviceOf(uint32_t expert, uint64_t n) const {
        return devices[expert][n % devices[expert].size()];
    }
};

struct ReplicaPlan {
    uint32_t devices = 0;
    uint32_t slots = 0;   ///< most copies that one device holds of a layer
    uint32_t copies = 0;  ///< of a layer, all devices together
    std::vector<LayerPlacement> layers;
};

/// Places every expert on at least one of the devices and copies of the hottest on others, so that the
/// busiest device of each layer does little more than the mean. counts: [layers][experts], tokens that each
/// expert took. Pure and deterministic. As EPLB (DeepSeek, 2025): the expert with the most tokens a copy gets
/// the next copy; copies are packed by falling load, then swapped while that helps. Errors: OutOfRange for
/// devices (1 to the number of experts) and extra; BadArgument for layers of different or no experts.
base::Result<ReplicaPlan> planReplicas(std::span<const std::vector<uint64_t>> counts,
                                       const ReplicaOptions& options);

/// The busiest device's tokens over the mean, for counts [experts] of one layer, each expert's split evenly
/// over its copies; 1 where there are none.
double stragglerFactor(const LayerPlacement& placement, std::span<const uint64_t> counts, uint32_t devices);

}  // namespace conclave::engine::parallel
