#pragma once

#include <string>
#include <vector>

#include "engine/base/result.h"

namespace conclave::engine::platform {

/// The folders of one user, from the XDG base directory specification. The environment is read here and
/// nowhere else.
struct UserPaths {
    std::string config;   ///< $XDG_CONFIG_HOME/conclave, else ~/.config/conclave
    std::string data;     ///< $XDG_DATA_HOME/conclave, else ~/.local/share/conclave; models/ lies below
    std::string state;    ///< $XDG_STATE_HOME/conclave, else ~/.local/state/conclave
    std::string cache;    ///< $XDG_CACHE_HOME/conclave, else ~/.cache/conclave
    std::string runtime;  ///< $XDG_RUNTIME_DIR/conclave, else /tmp/conclave-<uid>; engine.sock lies below
};

UserPaths userPaths();

/// Folder of the running executable, links resolved; resources are found from it.
std::string executableFolder();

/// The resources folder: beside the installed binary (../share/conclave) or in the checkout that the binary
/// was built from. Empty where there is none.
std::string resourcesFolder();

/// Where this user's models lie.
std::string userModelFolder();

/// Where installed models are looked for, in order: those that were configured, the user's, the machine's
/// (/var/lib/conclave/models), the shipped ones. A model is a folder or a .gguf file in one of them, and its
/// name is its file name.
std::vector<std::string> modelFolders(std::vector<std::string> configured);

/// Makes `folder` and what is missing above it, mode 0700. Errors: FileWriteFailed.
base::Result<void> makeFolders(const std::string& folder);

/// Makes `folder` with mode 0700 if it is missing and refuses one that is a link, belongs to somebody else or
/// is open to others (SocketUnsafe): the socket in it is as private as the folder is.
base::Result<void> makePrivateFolder(const std::string& folder);

}  // namespace conclave::engine::platform
