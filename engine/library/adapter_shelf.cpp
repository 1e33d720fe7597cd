#include "engine/library/adapter_shelf.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <future>
#include <set>
#include <system_error>
#include <utility>

#include "engine/library/adapter_places.h"
#include "engine/library/content_id.h"
#include "engine/library/names.h"
#include "engine/platform/clock.h"
#include "engine/platform/memory.h"

namespace conclave::engine::library {
namespace {

using base::Code;
using base::Error;
using base::Result;

std::string readable(uint64_t bytes) {
    const bool small = bytes < uint64_t{1} << 20;
    char text[32];
    std::snprintf(text, sizeof text, small ? "%.1f KiB" : "%.1f MiB",
                  static_cast<double>(bytes) / (small ? 1 << 10 : 1 << 20));
    return text;
}

void append(std::string& list, const std::string& name) {
    list += (list.empty() ? "" : ", ") + name;
}

bool isCalled(const ShelvedAdapter& adapter, const std::string& name) {
    return adapter.name == name || adapter.model + ":" + adapter.name == name;
}

bool sameFile(const std::string& a, const std::string& b) {
    std::error_code failed;  // what is not there is not the same
    return std::filesystem::equivalent(a, b, failed);
}

/// Bytes that were taken and go back unless they are kept.
class Taken {
  public:
    explicit Taken(AdapterMemory& memory) : memory_(memory) {}
    ~Taken() { memory_.giveBack(bytes_); }
    Taken(const Taken&) = delete;
    Taken& operator=(const Taken&) = delete;
    void take(uint64_t bytes) { bytes_ = bytes; }
    uint64_t keep() { return std::exchange(bytes_, 0); }

  private:
    AdapterMemory& memory_;
    uint64_t bytes_ = 0;
};

}  // namespace

AdapterShelf::AdapterShelf(const Library& library, AdapterBudget budget)
    : library_(library), options_(std::move(budget)) {}

// --- what there is ---

ShelvedAdapter AdapterShelf::shown(const Entry& entry) const {
    ShelvedAdapter out = entry.facts;
    out.loaded = entry.adapter != nullptr;
    out.users = *entry.users;
    return out;
}

std::vector<ShelvedAdapter> AdapterShelf::list() const {
    const std::lock_guard lock(mutex_);
    std::vector<ShelvedAdapter> out;
    for (const auto& [id, entry] : entries_)
        out.push_back(shown(entry));
    return out;
}

std::string AdapterShelf::names(const LoadedModel* base) const {
    std::string out;
    for (const auto& [id, entry] : entries_)
        if (base == nullptr || entry.facts.base == base->model) append(out, entry.facts.name);
    return out;
}

Result<ShelvedAdapter> AdapterShelf::byId(uint32_t id) const {
    const std::lock_guard lock(mutex_);
    if (const auto found = entries_.find(id); found != entries_.end()) return shown(found->second);
    std::string known;
    for (const auto& [other, entry] : entries_)
        append(known, std::to_string(other) + " (" + entry.facts.name + ")");
    return Error{Code::UnknownAdapter, {}, {}, {std::to_string(id), known.empty() ? "none" : known}};
}

Result<ShelvedAdapter> AdapterShelf::byName(const std::string& name) const {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, entry] : entries_)
        if (isCalled(entry.facts, name)) return shown(entry);
    const std::string known = names(nullptr);
    return Error{Code::UnknownAdapter, {}, {}, {name, known.empty() ? "none is loaded" : known}};
}

std::vector<std::string> AdapterShelf::modelsWith(const std::string& name) const {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> out;
    for (const auto& [id, entry] : entries_)
        if (entry.facts.name == name) out.push_back(entry.facts.model);
    return out;
}

Error AdapterShelf::unknown(const std::string& name, const LoadedModel& base) const {
    std::string known;
    std::set<std::string> seen;
    {
        const std::lock_guard lock(mutex_);
        known = names(&base);
        for (const auto& [id, entry] : entries_)
            if (entry.facts.base == base.model) seen.insert(entry.facts.name);
    }
    for (const InstalledAdapter& entry : installedAdapters(base.path))
        if (!seen.contains(entry.name)) append(known, entry.name);
    return {Code::UnknownAdapter, {}, {}, {name, known.empty() ? "none" : known}};
}

AdapterShelf::Entry* AdapterShelf::find(const std::string& name, const LoadedModel& base) {
    const auto found = std::ranges::find_if(entries_, [&](const auto& pair) {
        return pair.second.facts.name == name && pair.second.facts.base == base.model;
    });
    return found == entries_.end() ? nullptr : &found->second;
}

bool AdapterShelf::ready(const std::string& name, const LoadedModel& base) const {
    const std::lock_guard lock(mutex_);
    return std::ranges::any_of(entries_, [&](const auto& pair) {
        const Entry& entry = pair.second;
        return entry.adapter && entry.facts.name == name && entry.facts.base == base.model;
    });
}

bool AdapterShelf::ready(uint32_t id) const {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(id);
    return found == entries_.end() || found->second.adapter != nullptr;
}

// --- memory ---

uint64_t AdapterShelf::budget() const {
    uint64_t fixed = budget_;
    if (fixed > 0) return fixed;
    uint64_t chosen = options_.bytes;
    if (chosen == 0) chosen = (options_.freeMemory ? options_.freeMemory() : platform::availableMemory()) / 4;
    chosen = std::max<uint64_t>(chosen, 1);
    return budget_.compare_exchange_strong(fixed, chosen) ? chosen : fixed;
}

AdapterShelf::Stats AdapterShelf::stats() const {
    const uint64_t most = budget();
    const std::lock_guard lock(mutex_);
    return {.bytes = memory_.used(), .budget = most, .loads = loads_, .evictions = evictions_};
}

/// Bytes that letting go of everything that no request holds would give back.
uint64_t AdapterShelf::idleBytes() const {
    std::map<const model::Adapter*, std::pair<uint64_t, bool>> factors;  // bytes; held under any name
    for (const auto& [id, entry] : entries_) {
        if (!entry.adapter) continue;
        auto& [bytes, held] = factors[entry.adapter->adapter.get()];
        bytes = entry.facts.facts->bytes;
        held |= *entry.users > 0;
    }
    uint64_t idle = 0;
    for (const auto& [adapter, state] : factors)
        if (!state.second) idle += state.first;
    return idle;
}

std::shared_ptr<const LoadedAdapter> AdapterShelf::takeOldestIdle() {
    Entry* oldest = nullptr;
    for (auto& [id, entry] : entries_)
        if (entry.adapter && *entry.users == 0 && (oldest == nullptr || entry.lastUse < oldest->lastUse))
            oldest = &entry;
    if (oldest == nullptr) return nullptr;
    ++evictions_;
    return std::exchange(oldest->adapter, nullptr);
}

Result<void> AdapterShelf::makeRoom(uint64_t bytes, const std::string& name) {
    const uint64_t most = budget();
    if (bytes > most)
        return Error{Code::BadArgument,
                     {},
                     "--adapter-memory",
                     {readable(most) + " do not hold adapter " + name + ", which needs " + readable(bytes) +
                      "; start the engine with more"}};
    while (!memory_.take(bytes, most)) {
        std::shared_ptr<const LoadedAdapter> letGo;  // its memory goes after the mutex
        const std::lock_guard lock(mutex_);
        const uint64_t used = memory_.used(), idle = std::min(used, idleBytes());
        if (used - idle + bytes <= most) letGo = takeOldestIdle();
        if (letGo || used + bytes <= most) continue;
        return Error{Code::ServerBusy,
                     {},
                     {},
                     {"adapter " + name + " needs " + readable(bytes) + ", and " + readable(used - idle) +
                      " of the " + readable(most) + " for adapters are held by requests that run"}};
    }
    return {};
}

// --- reading ---

/// What is known of the same file, or of another with the same content; with its factors where they are in
/// memory.
bool AdapterShelf::known(const LoadedModel& base, Read& read) const {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, entry] : entries_) {
        const bool sameFile = !read.identity.empty() && entry.identity == read.identity;
        if (entry.facts.base != base.model || !(sameFile || entry.facts.contentId == read.contentId))
            continue;
        read.contentId = entry.facts.contentId;
        read.facts = entry.facts.facts;
        if (entry.adapter) read.factors = entry.adapter->adapter;
        if (entry.adapter) return true;
    }
    return false;
}

Result<AdapterShelf::Read> AdapterShelf::read(const std::string& path, const std::string& name,
                                              const LoadedModel& base, const Library::Progress& progress) {
    return flights_.run({base.model.get(), path}, [&] { return readAlone(path, name, base, progress); });
}

Result<AdapterShelf::Read> AdapterShelf::readAlone(const std::string& path, const std::string& name,
                                                   const LoadedModel& base,
                                                   const Library::Progress& progress) {
    Read out;
    const auto identity = settledIdentity(adapterFiles(path));  // what is wrong with it, opening says better
    if (identity.ok()) out.identity = *identity;
    if (known(base, out)) return out;
    CONCLAVE_TRY(const formats::AdapterFile file, openFor(base, path));
    // A large one is read while it is hashed, even if its content then turns out to be there already.
    constexpr uint64_t kLarge = uint64_t{64} << 20;
    std::future<Result<std::string>> hashing;
    if (out.contentId.empty() && file.tensors.totalBytes() >= kLarge) {
        hashing = hashBeside(path, progress);
    } else if (out.contentId.empty()) {
        CONCLAVE_TRY(out.contentId, adapterContentId(path, progress));
        if (known(base, out)) return out;
    }
    Taken taken(memory_);
    CONCLAVE_TRY(const auto factors, readFactors(file, base, [&](uint64_t bytes) -> Result<void> {
                     CONCLAVE_TRY_VOID(makeRoom(bytes, name));
                     taken.take(bytes);
                     return {};
                 }));
    if (hashing.valid()) {
        CONCLAVE_TRY(out.contentId, hashing.get());
        if (known(base, out)) return out;
    }
    if (!out.identity.empty()) {
        CONCLAVE_TRY(const std::string after, settledIdentity(adapterFiles(path)));
        if (after != out.identity) return Error{Code::FileChanged, path, {}, {}};
    }
    out.facts = std::make_shared<const AdapterFacts>(factsOf(file, *factors));
    out.factors = memory_.counted(factors, taken.keep());
    const std::lock_guard lock(mutex_);
    ++loads_;
    return out;
}

// --- names ---

void AdapterShelf::fill(Entry& entry, const Read& read, const std::string& path) {
    auto loaded = std::make_shared<LoadedAdapter>();
    loaded->name = entry.facts.name;
    loaded->path = path;
    loaded->contentId = read.contentId;
    loaded->base = entry.facts.base;
    loaded->adapter = read.factors;
    loaded->facts = read.facts;
    entry.adapter = std::move(loaded);
    entry.identity = read.identity;
    entry.facts.path = path;
    entry.facts.contentId = read.contentId;
    entry.facts.facts = read.facts;
    entry.facts.loadedAtUnix = platform::unixNow();
}

HeldAdapter AdapterShelf::hold(Entry& entry) {
    entry.lastUse = ++uses_;
    entry.facts.lastUsedUnix = platform::unixNow();
    ++*entry.users;
    const LoadedAdapter* raw = entry.adapter.get();
    return {entry.facts.id, {raw, [users = entry.users, kept = entry.adapter](const LoadedAdapter*) mutable {
                                 kept.reset();
                                 --*users;
                             }}};
}

Result<HeldAdapter> AdapterShelf::add(const std::string& path, const std::string& name, bool installed,
                                      const LoadedModel& base, const Library::Progress& progress) {
    CONCLAVE_TRY(const std::string wanted, adapterName(path, name));
    for (const ModelEntry& model : library_.list())
        if (model.name == wanted) return Error{Code::ModelNameTaken, {}, {}, {wanted}};
    CONCLAVE_TRY(const Read found, read(path, wanted, base, progress));
    // Whoever names an installed adapter must get that one, whatever was loaded before.
    if (const auto there = findInstalledAdapter(base.path, wanted);
        there && !installed && !sameFile(*there, path))
        return Error{Code::ModelNameTaken, {}, {}, {wanted}};
    const std::lock_guard lock(mutex_);
    if (Entry* there = find(wanted, base)) {
        if (there->facts.contentId != found.contentId) return Error{Code::ModelNameTaken, {}, {}, {wanted}};
        if (!there->adapter) fill(*there, found, path);
        return hold(*there);
    }
    Entry& entry = entries_[nextId_];
    entry.facts.id = nextId_++;
    entry.facts.name = wanted;
    entry.facts.model = base.name;
    entry.facts.base = base.model;
    entry.facts.installed = installed;
    fill(entry, found, path);
    return hold(entry);
}

/// One that was let go, under its old number. An installed one is what lies there now; one that somebody
/// loaded from a path is what it was, or an error.
Result<HeldAdapter> AdapterShelf::bringBack(const ShelvedAdapter& wanted, const LoadedModel& base,
                                            const Library::Progress& progress) {
    std::string path = wanted.path;
    if (wanted.installed) path = findInstalledAdapter(base.path, wanted.name).value_or(path);
    CONCLAVE_TRY(const Read found, read(path, wanted.name, base, progress));
    if (!wanted.installed && found.contentId != wanted.contentId)
        return Error{Code::BadArgument,
                     path,
                     "lora",
                     {"adapter " + wanted.name + " made room for others, and " + path +
                      " has changed since it was loaded; unload it and load it again"}};
    const std::lock_guard lock(mutex_);
    const auto entry = entries_.find(wanted.id);
    if (entry == entries_.end()) {
        const std::string known = names(&base);
        return Error{Code::UnknownAdapter, {}, {}, {wanted.name, known.empty() ? "none" : known}};
    }
    if (!entry->second.adapter) fill(entry->second, found, path);
    return hold(entry->second);
}

Result<HeldAdapter> AdapterShelf::get(const std::string& wanted, const LoadedModel& base,
                                      const Library::Progress& progress) {
    const std::string prefix = base.name + ":";
    const std::string name = wanted.starts_with(prefix) ? wanted.substr(prefix.size()) : wanted;
    std::optional<ShelvedAdapter> away;
    {
        const std::lock_guard lock(mutex_);
        if (Entry* entry = find(name, base)) {
            if (entry->adapter) return hold(*entry);
            away = entry->facts;
        }
    }
    if (away) return bringBack(*away, base, progress);
    if (const auto path = findInstalledAdapter(base.path, name))
        return add(*path, name, true, base, progress);
    return unknown(name, base);
}

Result<HeldAdapter> AdapterShelf::get(uint32_t id, const LoadedModel& base,
                                      const Library::Progress& progress) {
    CONCLAVE_TRY(const ShelvedAdapter entry, byId(id));
    if (entry.base != base.model)
        return Error{
            Code::AdapterMismatch, entry.path, "lora", {"it is loaded for another model than " + base.name}};
    {
        const std::lock_guard lock(mutex_);
        const auto found = entries_.find(id);
        if (found != entries_.end() && found->second.adapter) return hold(found->second);
    }
    return bringBack(entry, base, progress);
}

Result<HeldAdapter> AdapterShelf::load(const std::string& path, const std::string& name,
                                       const LoadedModel& base, const Library::Progress& progress) {
    return add(path, name, false, base, progress);
}

Result<void> AdapterShelf::unload(const std::string& name) {
    Entry last;  // its memory goes after the mutex
    const std::lock_guard lock(mutex_);
    const auto found =
        std::ranges::find_if(entries_, [&](const auto& pair) { return isCalled(pair.second.facts, name); });
    if (found == entries_.end()) {
        const std::string known = names(nullptr);
        return Error{Code::UnknownAdapter, {}, {}, {name, known.empty() ? "none" : known}};
    }
    last = std::move(found->second);
    entries_.erase(found);
    return {};
}

void AdapterShelf::dropWithoutModel() {
    std::set<std::shared_ptr<const model::Model>> models;
    for (const ModelEntry& entry : library_.list())
        if (const auto model = entry.loaded ? library_.loaded(entry.name) : nullptr)
            models.insert(model->model);
    std::vector<Entry> last;
    const std::lock_guard lock(mutex_);
    for (auto entry = entries_.begin(); entry != entries_.end();) {
        const bool lost = !models.contains(entry->second.facts.base);
        if (lost) last.push_back(std::move(entry->second));
        entry = lost ? entries_.erase(entry) : std::next(entry);
    }
}

}  // namespace conclave::engine::library
