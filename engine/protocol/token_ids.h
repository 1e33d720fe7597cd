#pragma once

#include <vector>

#include "engine/base/ids.h"
#include "engine/protocol/fields.h"

namespace conclave::engine::protocol {

/// Token ids from an array of whole numbers from 0 to 2147483647; what is wrong is remembered in `fields`.
/// Whether the model has them is asked later.
std::vector<base::TokenId> readTokenIds(const Json& array, const std::string& path, Fields& fields);

Json tokenIdsJson(const std::vector<base::TokenId>& tokens);

}  // namespace conclave::engine::protocol
