#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "engine/library/adapter.h"
#include "engine/library/adapter_memory.h"
#include "engine/library/library.h"
#include "engine/library/one_flight.h"

namespace conclave::engine::library {

/// An adapter that requests can name. Its factors need not be in memory now.
struct ShelvedAdapter {
    uint32_t id = 0;        ///< never used again while the engine runs
    std::string name;       ///< what requests call it
    std::string model;      ///< name of the model it was loaded for
    std::string path;       ///< where it comes from, also again
    std::string contentId;  ///< as LoadedAdapter
    std::shared_ptr<const model::Model> base;
    std::shared_ptr<const AdapterFacts> facts;
    bool loaded = false;     ///< in memory; else the next request that names it loads it again
    bool installed = false;  ///< was found by its name, not loaded from a path that somebody gave
    uint32_t users = 0;      ///< requests that hold it
    int64_t loadedAtUnix = 0, lastUsedUnix = 0;
};

/// An adapter for one request: it stays in memory until the last copy of `adapter` is gone.
struct HeldAdapter {
    uint32_t id = 0;
    std::shared_ptr<const LoadedAdapter> adapter;
};

/// How much memory adapters may take together.
struct AdapterBudget {
    uint64_t bytes = 0;                    ///< 0 = a quarter of what is free when first asked
    std::function<uint64_t()> freeMemory;  ///< empty = platform::availableMemory
};

/// The adapters that requests can use, by model and name, within a budget of memory: where one more does not
/// fit, those that no request holds are let go, the one that was used longest ago first. One that was let go
/// keeps its name and number and is loaded again by the next request that names it. Thread-safe; loading
/// happens on the caller's thread, once at a time for a model and path, and disturbs nobody. An adapter that
/// is taken off finishes what requests began with it.
class AdapterShelf {
  public:
    explicit AdapterShelf(const Library& library, AdapterBudget budget = {});

    /// Every adapter, by id.
    std::vector<ShelvedAdapter> list() const;
    /// Errors: UnknownAdapter with those there are.
    base::Result<ShelvedAdapter> byId(uint32_t id) const;
    /// NAME or MODEL:NAME; of the first model where several have one of that name.
    base::Result<ShelvedAdapter> byName(const std::string& name) const;
    /// The names of the models that have an adapter of that name on the shelf.
    std::vector<std::string> modelsWith(const std::string& name) const;

    /// Whether get() gives it without reading files.
    bool ready(const std::string& name, const LoadedModel& base) const;
    bool ready(uint32_t id) const;

    /// The adapter NAME or MODEL:NAME for `base`: on the shelf, or installed beside the model ("adapters" in
    /// its folder) or in the user's folder of adapters; loaded now where it is not in memory. A name is never
    /// a path. Errors: UnknownAdapter with the names there are, BadArgument for one whose file has changed
    /// since it was let go, unless it is an installed one, and as load().
    base::Result<HeldAdapter> get(const std::string& name, const LoadedModel& base,
                                  const Library::Progress& progress);
    /// The same by number; AdapterMismatch where it is one of another model.
    base::Result<HeldAdapter> get(uint32_t id, const LoadedModel& base, const Library::Progress& progress);

    /// Loads from a path under `name`, or one made from it. The same content under the same name again is the
    /// adapter that is there, and under another name shares its memory; files that have not changed since are
    /// not read. Errors: ModelNameTaken where a model or another adapter of this model has the name, an
    /// installed one included; ServerBusy where all the memory is held by requests, BadArgument where the
    /// budget is too small for this adapter alone; as loadAdapter().
    base::Result<HeldAdapter> load(const std::string& path, const std::string& name, const LoadedModel& base,
                                   const Library::Progress& progress);

    /// NAME or MODEL:NAME. Errors: UnknownAdapter.
    base::Result<void> unload(const std::string& name);
    /// Takes off the adapters whose model the library has no more, so that they do not keep its weights.
    void dropWithoutModel();

    struct Stats {
        uint64_t bytes = 0;   ///< in use, those included that were taken off and still work
        uint64_t budget = 0;  ///< how many there may be
        uint64_t loads = 0;   ///< factors read
        uint64_t evictions = 0;
    };
    /// The first call of this or of load() fixes a budget that was left open.
    Stats stats() const;

  private:
    struct Entry {
        ShelvedAdapter facts;  ///< users and loaded as of list() only
        std::string identity;  ///< of its files as they were read; empty where they had just changed
        std::shared_ptr<const LoadedAdapter> adapter;  ///< null: let go
        std::shared_ptr<std::atomic<uint32_t>> users = std::make_shared<std::atomic<uint32_t>>(0);
        uint64_t lastUse = 0;  ///< counts up
    };
    /// What a path gave.
    struct Read {
        std::string contentId, identity;
        std::shared_ptr<const model::Adapter> factors;
        std::shared_ptr<const AdapterFacts> facts;
    };
    using Entries = std::map<uint32_t, Entry>;

    // With the mutex held.
    Entry* find(const std::string& name, const LoadedModel& base);
    HeldAdapter hold(Entry& entry);
    void fill(Entry& entry, const Read& read, const std::string& path);
    ShelvedAdapter shown(const Entry& entry) const;
    std::string names(const LoadedModel* base) const;
    uint64_t idleBytes() const;
    std::shared_ptr<const LoadedAdapter> takeOldestIdle();

    // Without it.
    bool known(const LoadedModel& base, Read& read) const;
    base::Error unknown(const std::string& name, const LoadedModel& base) const;
    uint64_t budget() const;
    base::Result<void> makeRoom(uint64_t bytes, const std::string& name);
    base::Result<Read> read(const std::string& path, const std::string& name, const LoadedModel& base,
                            const Library::Progress& progress);
    base::Result<Read> readAlone(const std::string& path, const std::string& name, const LoadedModel& base,
                                 const Library::Progress& progress);
    base::Result<HeldAdapter> add(const std::string& path, const std::string& name, bool installed,
                                  const LoadedModel& base, const Library::Progress& progress);
    base::Result<HeldAdapter> bringBack(const ShelvedAdapter& wanted, const LoadedModel& base,
                                        const Library::Progress& progress);

    const Library& library_;
    const AdapterBudget options_;
    AdapterMemory memory_;
    mutable std::atomic<uint64_t> budget_{0};  ///< 0 = not fixed yet
    mutable std::mutex mutex_;                 ///< of all below but the last, held for moments only
    Entries entries_;
    uint32_t nextId_ = 0;
    uint64_t uses_ = 0, loads_ = 0, evictions_ = 0;
    OneFlight<std::pair<const model::Model*, std::string>, base::Result<Read>> flights_;
};

}  // namespace conclave::engine::library
