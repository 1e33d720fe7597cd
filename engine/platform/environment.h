#pragma once

#include <string>
#include <vector>

namespace conclave::engine::platform {

/// A variable of the environment that changes what we do.
struct EnvironmentVariable {
    std::string name;
    std::string value;  ///< empty = not set
};

/// Every variable that any of our programs reads, for `conclave doctor`.
std::vector<EnvironmentVariable> relevantEnvironment();

}  // namespace conclave::engine::platform
