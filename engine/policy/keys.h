#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/policy/options.h"

namespace conclave::engine::policy {

/// A value as a file or a flag gives it; a flag is always text.
using Value = std::variant<int64_t, double, std::string, std::vector<std::string>>;

/// A key and what its value does. `set` gives nothing when it is done, else what the value must be.
struct KeyRow {
    Key key;
    std::optional<std::string> (*set)(Options& options, const Value& value);
};

/// Null where there is no such key.
const KeyRow* findKey(std::string_view name);

/// The value as it stands in a message.
std::string shown(const Value& value);

}  // namespace conclave::engine::policy
