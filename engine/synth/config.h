#pragma once

#include <cstdint>

#include "engine/base/result.h"
#include "engine/formats/hf_folder.h"
#include "engine/model/config.h"
#include "engine/synth/shape.h"

namespace conclave::engine::synth {

/// A shape as if it had been read from a folder of its name.
struct ShapeConfig {
    formats::HfFolder folder;
    model::ModelConfig config;
};

/// The first `layers` of a shape; 0 = all. The shapes are ours, so an error is a bug in one.
base::Result<ShapeConfig> configOf(const Shape& shape, uint32_t layers);

}  // namespace conclave::engine::synth
