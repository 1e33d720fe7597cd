#include "engine/synth/config.h"

#include <string>

namespace conclave::engine::synth {

base::Result<ShapeConfig> configOf(const Shape& shape, uint32_t layers) {
    ShapeConfig out;
    out.folder.path = std::string(shape.name);
    CONCLAVE_TRY(out.folder.config, formats::parseStrictJson(shape.config, out.folder.path));
    if (layers > 0) out.folder.config["num_hidden_layers"] = layers;
    CONCLAVE_TRY(out.config, model::configFromHf(out.folder));
    return out;
}

}  // namespace conclave::engine::synth
