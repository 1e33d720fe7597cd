#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "engine/base/ids.h"

namespace conclave::engine::protocol {

/// Names of base::Priority on the wire, in its order.
inline constexpr std::array<std::string_view, 3> kPriorityNames = {"interactive", "chat", "background"};

constexpr std::string_view nameOf(base::Priority priority) {
    return kPriorityNames[static_cast<size_t>(priority)];
}

constexpr std::optional<base::Priority> priorityOf(std::string_view name) {
    for (size_t i = 0; i < kPriorityNames.size(); ++i)
        if (kPriorityNames[i] == name) return static_cast<base::Priority>(i);
    return std::nullopt;
}

}  // namespace conclave::engine::protocol
