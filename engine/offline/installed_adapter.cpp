#include "engine/offline/installed_adapter.h"

#include "engine/library/adapter_places.h"
#include "engine/platform/file.h"

namespace conclave::engine::offline {

base::Result<std::string> adapterPath(const std::string& argument, const std::string& modelPath) {
    if (argument.find('/') != std::string::npos) return argument;
    std::string known;
    for (const library::InstalledAdapter& adapter : library::installedAdapters(modelPath)) {
        if (adapter.name == argument) return adapter.path;
        known += (known.empty() ? "" : ", ") + adapter.name;
    }
    if (!argument.empty() && platform::pathKind(argument) != platform::PathKind::Missing) return argument;
    const char* others =
        modelPath.empty() ? ", or say with --model whose it is, or give a path" : ", or give a path";
    return base::Error{
        base::Code::UnknownAdapter, {}, {}, {argument, (known.empty() ? "none installed" : known) + others}};
}

}  // namespace conclave::engine::offline
