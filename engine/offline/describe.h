#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/result.h"

namespace conclave::engine::offline {

/// What a model is, without loading its weights.
struct ModelDescription {
    std::string path;
    std::string container;     ///< "GGUF 3" or "Hugging Face folder"
    std::string architecture;  ///< as the file says it
    std::string family;        ///< our name of it
    uint64_t parameters = 0, activeParameters = 0;
    uint64_t bytes = 0;
    uint32_t layers = 0, hidden = 0, vocabulary = 0, context = 0;
    uint32_t heads = 0, kvHeads = 0, latentRank = 0;
    uint32_t experts = 0, chosenExperts = 0;
    uint64_t kvBytesPerToken = 0;                           ///< as float32
    std::vector<std::pair<std::string, uint64_t>> formats;  ///< bytes by format, largest first
    bool chatTemplate = false;
    uint32_t tokens = 0;
    std::vector<int32_t> endTokens;
    std::vector<std::string> warnings;
};

/// Errors: whatever is wrong with the files; a vocabulary that does not fit the weights is
/// VocabularyMismatch.
base::Result<ModelDescription> describe(const std::string& path);

nlohmann::ordered_json toJson(const ModelDescription& description);

}  // namespace conclave::engine::offline
