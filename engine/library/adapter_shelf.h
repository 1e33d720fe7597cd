#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/library/adapter.h"
#include "engine/library/library.h"

namespace conclave::engine::library {

/// An adapter that requests can name.
struct ShelvedAdapter {
    uint32_t id = 0;    ///< never used again while the engine runs
    std::string model;  ///< name of the model it was loaded for
    std::shared_ptr<const LoadedAdapter> adapter;
};

/// The adapters that are loaded, by model and name. Thread-safe; loading happens on the caller's thread and
/// disturbs nobody. An adapter that is taken off finishes what requests began with it.
class AdapterShelf {
  public:
    explicit AdapterShelf(const Library& library) : library_(library) {}

    /// Every adapter, by id.
    std::vector<ShelvedAdapter> list() const;

    /// The adapter of that name for `base`: loaded, or installed beside the model ("adapters" in its folder)
    /// or in the user's folder of adapters, and loaded now. A name is never a path. Errors: UnknownAdapter
    /// with the names there are, and whatever loading says.
    base::Result<ShelvedAdapter> get(const std::string& name, const LoadedModel& base,
                                     const Library::Progress& progress);
    /// Only what is loaded; nothing where it is not.
    std::optional<ShelvedAdapter> loaded(const std::string& name, const LoadedModel& base) const;
    base::Result<ShelvedAdapter> byId(uint32_t id) const;
    /// Of whatever model; the first loaded where several have one of that name.
    base::Result<ShelvedAdapter> byName(const std::string& name) const;

    /// Loads from a path under `name`, or one made from it. The same content under the same name again is the
    /// adapter that is there. Errors: ModelNameTaken where a model or another adapter of this model has the
    /// name; as loadAdapter().
    base::Result<ShelvedAdapter> load(const std::string& path, const std::string& name,
                                      const LoadedModel& base, const Library::Progress& progress);

    /// Errors: UnknownAdapter.
    base::Result<void> unload(const std::string& name);

    /// The installed adapters of a model: names and paths.
    struct Installed {
        std::string name, path;
    };
    static std::vector<Installed> installedFor(const LoadedModel& base);
    /// The same by the model's path; of an empty one only what lies in the user's folder.
    static std::vector<Installed> installedFor(const std::string& modelPath);

  private:
    base::Error unknown(const std::string& name, const LoadedModel& base) const;

    const Library& library_;
    mutable std::mutex mutex_;  ///< of the two below, held for moments only
    std::vector<ShelvedAdapter> adapters_;
    uint32_t nextId_ = 0;
    std::mutex loading_;  ///< held while an adapter loads
};

}  // namespace conclave::engine::library
