#pragma once

#include <optional>
#include <string>
#include <vector>

namespace conclave::engine::library {

/// An adapter that lies where adapters are looked for.
struct InstalledAdapter {
    std::string name, path;
};

/// In "adapters" beside or in the model at `modelPath`; sorted by name.
std::vector<InstalledAdapter> adaptersBeside(const std::string& modelPath);

/// Those, then those in the user's folder of adapters; of two of one name the first counts.
std::vector<InstalledAdapter> installedAdapters(const std::string& modelPath);

/// Where the installed adapter of that name lies; nothing where there is none, and for what is no name but a
/// path.
std::optional<std::string> findInstalledAdapter(const std::string& modelPath, const std::string& name);

}  // namespace conclave::engine::library
