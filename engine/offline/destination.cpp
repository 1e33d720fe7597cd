#include "engine/offline/destination.h"

#include <fstream>
#include <string_view>

#include "engine/platform/file.h"

namespace conclave::engine::offline {

using base::Code;
using base::Error;
using base::Result;

bool isGguf(const std::string& path) {
    char magic[4] = {};
    std::ifstream(path, std::ios::binary).read(magic, sizeof magic);
    return std::string_view(magic, sizeof magic) == "GGUF";
}

Result<void> checkDestination(const std::string& path) {
    const auto refuse = [&](const char* why) { return Error{Code::BadArgument, "", path, {why}}; };
    switch (platform::pathKind(path)) {
    case platform::PathKind::Missing:
        return {};
    case platform::PathKind::Folder:
        return refuse("is a folder; give the name of the GGUF file to write");
    case platform::PathKind::Other:
        return refuse("is not a regular file; give the name of the GGUF file to write");
    case platform::PathKind::Regular:
        break;
    }
    if (!isGguf(path))
        return refuse("is there already and is not a GGUF file; remove it or choose another name");
    return {};
}

}  // namespace conclave::engine::offline
