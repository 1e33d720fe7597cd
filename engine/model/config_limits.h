#pragma once

#include <cstdint>
#include <string>

#include "engine/base/result.h"
#include "engine/model/config.h"

namespace conclave::engine::model {

// What a number in a configuration may be at most: far above every published model, far below what would
// overflow a product of them.
inline constexpr uint32_t kMostLayers = 512;
inline constexpr uint32_t kMostValues = 1u << 20;     ///< width of a row
inline constexpr uint32_t kMostTokens = 1u << 24;     ///< rows of the embedding table
inline constexpr uint32_t kMostPositions = 1u << 27;  ///< of a context
inline constexpr uint32_t kMostHeads = 4096;
inline constexpr uint32_t kMostHeadValues = 4096;
inline constexpr uint32_t kMostExperts = 4096;

base::Error valueOutOfRange(const std::string& file, const std::string& field, const std::string& value,
                            const std::string& range);

/// What the forward pass relies on beyond the range of each number alone: heads that divide, an even rotated
/// part, groups that hold the chosen experts, products that fit. `file` stands in messages. Errors:
/// ValueOutOfRange.
base::Result<void> checkConfig(const ModelConfig& config, const std::string& file);

}  // namespace conclave::engine::model
