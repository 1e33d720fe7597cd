#include "engine/platform/paths.h"

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/platform/file.h"

namespace conclave::engine::platform {
namespace {

/// The XDG specification: a relative path in one of its variables is ignored.
std::string absoluteVariable(const char* name) {
    const char* value = std::getenv(name);
    return value && value[0] == '/' ? value : "";
}

std::string home() {
    const std::string fromEnvironment = absoluteVariable("HOME");
    if (!fromEnvironment.empty()) return fromEnvironment;
    const passwd* entry = ::getpwuid(::getuid());
    return entry && entry->pw_dir ? entry->pw_dir : "/";
}

std::string xdgFolder(const char* variable, const char* below) {
    const std::string given = absoluteVariable(variable);
    return (given.empty() ? home() + below : given) + "/conclave";
}

std::string parentOf(const std::string& path) {
    const size_t slash = path.rfind('/');
    return slash == std::string::npos || slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

UserPaths userPaths() {
    UserPaths paths;
    paths.config = xdgFolder("XDG_CONFIG_HOME", "/.config");
    paths.data = xdgFolder("XDG_DATA_HOME", "/.local/share");
    paths.state = xdgFolder("XDG_STATE_HOME", "/.local/state");
    paths.cache = xdgFolder("XDG_CACHE_HOME", "/.cache");
    const std::string runtime = absoluteVariable("XDG_RUNTIME_DIR");
    paths.runtime = runtime.empty() ? "/tmp/conclave-" + std::to_string(::getuid()) : runtime + "/conclave";
    return paths;
}

std::string executableFolder() {
    char buffer[PATH_MAX];
    const ssize_t length = ::readlink("/proc/self/exe", buffer, sizeof buffer);
    return length <= 0 ? "." : parentOf(std::string(buffer, static_cast<size_t>(length)));
}

std::string resourcesFolder() {
    const std::string installed = parentOf(executableFolder()) + "/share/conclave";
    if (pathKind(installed + "/models") == PathKind::Folder) return installed;
    // In a checkout the binary lies a few folders below the root (build/<preset>/bin).
    std::string folder = executableFolder();
    for (int level = 0; level < 6 && folder != "/"; ++level) {
        folder = parentOf(folder);
        if (pathKind(folder + "/resources/models") == PathKind::Folder) return folder + "/resources";
    }
    return "";
}

std::string userModelFolder() {
    return userPaths().data + "/models";
}

std::vector<std::string> modelFolders(std::vector<std::string> configured) {
    std::vector<std::string> folders = std::move(configured);
    folders.push_back(userModelFolder());
    folders.push_back("/var/lib/conclave/models");
    const std::string resources = resourcesFolder();
    if (!resources.empty()) folders.push_back(resources + "/models");
    return folders;
}

base::Result<void> makeFolders(const std::string& folder) {
    for (size_t slash = folder.find('/', 1);; slash = folder.find('/', slash + 1)) {
        const std::string part = folder.substr(0, slash);
        if (!part.empty() && ::mkdir(part.c_str(), 0700) != 0 && errno != EEXIST)
            return base::Error{base::Code::FileWriteFailed, part, "", {std::strerror(errno)}};
        if (slash == std::string::npos) break;
    }
    if (pathKind(folder) != PathKind::Folder)
        return base::Error{base::Code::FileWriteFailed, folder, "", {"it is not a folder"}};
    return {};
}

base::Result<void> makePrivateFolder(const std::string& folder) {
    using base::Code;
    using base::Error;
    const std::string parent = parentOf(folder);
    if (parent != "/" && pathKind(parent) == PathKind::Missing)
        return Error{Code::FileNotFound, parent, "", {}};
    if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
        return Error{Code::FileWriteFailed, folder, "", {std::strerror(errno)}};
    struct stat status {};
    if (::lstat(folder.c_str(), &status) != 0)
        return Error{Code::FileUnreadable, folder, "", {std::strerror(errno)}};
    if (!S_ISDIR(status.st_mode))
        return Error{Code::SocketUnsafe, folder, "", {"it is not a folder of its own"}};
    if (status.st_uid != ::getuid())
        return Error{Code::SocketUnsafe, folder, "", {"it belongs to another user"}};
    if ((status.st_mode & 0077) != 0)
        return Error{Code::SocketUnsafe, folder, "", {"other users may enter it (its mode must be 0700)"}};
    return {};
}

}  // namespace conclave::engine::platform
