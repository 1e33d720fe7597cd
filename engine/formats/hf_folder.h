#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "engine/base/result.h"
#include "engine/formats/tensor_directory.h"

namespace conclave::engine::formats {

/// A Hugging Face model folder: config.json and what lies beside it. JSON is strict: duplicate keys, depth
/// over 64 and invalid UTF-8 are errors.
struct HfFolder {
    std::string path;
    nlohmann::json config;                           ///< config.json, an object
    std::optional<nlohmann::json> generationConfig;  ///< generation_config.json
    std::optional<nlohmann::json> tokenizerConfig;   ///< tokenizer_config.json
    std::string tokenizerPath;                       ///< tokenizer.json; empty where there is none
    /// From tokenizer_config (text, or a list of {name, template}), chat_template.jinja or
    /// chat_template.json; the separate files win, as in transformers. Of a list, "default" counts, else the
    /// first.
    std::optional<std::string> chatTemplate;
    TensorDirectory tensors;  ///< empty unless opened WithWeights
};

enum class Weights { WithWeights, WithoutWeights };

/// Errors: NotAModelFolder without config.json, and whatever the parts say. Shards are those that
/// model.safetensors.index.json names, which must be plain file names; a tensor that the index promises and
/// no shard holds is MissingTensor. Pickle files are never opened: a folder that has only those is told to be
/// converted.
base::Result<HfFolder> openHfFolder(const std::string& path, Weights weights);

/// Strict JSON from text: no duplicate keys, depth ≤ maxDepth, valid UTF-8. `file` stands in messages.
base::Result<nlohmann::json> parseStrictJson(std::string_view text, const std::string& file,
                                             size_t maxDepth = 64);

}  // namespace conclave::engine::formats
