#pragma once

#include <span>
#include <string_view>

namespace conclave::engine::synth {

/// The measurements of a model, without its weights. The text is what the model's authors publish as
/// config.json, less what our reader does not look at.
struct Shape {
    std::string_view name;    ///< "olmoe-1b-7b"
    std::string_view config;  ///< JSON
    std::string_view pre;     ///< tokenizer.ggml.pre of its byte-level vocabulary
};

/// Every shape that can be asked for, by name.
std::span<const Shape> shapes();

}  // namespace conclave::engine::synth
