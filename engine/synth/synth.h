#pragma once

#include <string>

#include "engine/base/result.h"
#include "engine/formats/gguf.h"
#include "engine/model/config.h"
#include "engine/synth/file.h"
#include "engine/synth/spec.h"

namespace conclave::engine::synth {

/// A model of random weights with the measurements of a real one, for timing and for tests of size.
struct SynthModel {
    model::ModelConfig config;
    SynthFile file;
};

/// Names, shapes and formats are those of a file that llama.cpp reads; kv_b stands in its two halves. Weights
/// have a deviation of 1/sqrt(values of a row), so that activations keep their size from layer to layer;
/// norms are near 1. The same specification gives the same bytes on every machine. Thread-safe. Errors: those
/// of the checked specification are bugs in a shape.
base::Result<SynthModel> makeModel(const Spec& spec);

/// A GGUF file by its path, or the one that a "synth:…" names, in memory and named by toText(). Errors: as
/// GgufFile::open and readSpec.
base::Result<formats::GgufFile> openGguf(const std::string& path);

}  // namespace conclave::engine::synth
