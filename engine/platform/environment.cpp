#include "engine/platform/environment.h"

#include <cstdlib>

namespace conclave::engine::platform {

std::vector<EnvironmentVariable> relevantEnvironment() {
    std::vector<EnvironmentVariable> out;
    for (const char* name : {"HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME",
                             "XDG_RUNTIME_DIR"}) {
        const char* value = std::getenv(name);
        out.push_back({name, value ? value : ""});
    }
    return out;
}

}  // namespace conclave::engine::platform
