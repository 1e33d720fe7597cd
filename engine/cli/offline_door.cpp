#include "engine/cli/offline_door.h"

#include <algorithm>

#include "engine/cli/engine_door.h"
#include "engine/offline/installed.h"
#include "engine/platform/paths.h"

namespace conclave::engine::cli {

void addKeyFlags(CLI::App& app, const std::vector<std::string_view>& names,
                 std::map<std::string, std::string>& flags) {
    for (const policy::Key& key : policy::keys())
        if (std::find(names.begin(), names.end(), key.name) != names.end())
            app.add_option("--" + std::string(key.name), flags[std::string(key.name)], std::string(key.help))
                ->type_name(std::string(key.value));
}

base::Result<OfflineRun> resolve(const std::string& model, const OfflineFlags& flags) {
    OfflineRun out;
    CONCLAVE_TRY(out.configured, userOptions(flags.keys));
    CONCLAVE_TRY(out.path, offline::modelPath(model, platform::modelFolders(out.configured.modelFolders)));
    CONCLAVE_TRY(out.load, offline::numericsOptions(out.configured.kernels, flags.activations, flags.kv));
    return out;
}

}  // namespace conclave::engine::cli
