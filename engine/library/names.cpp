#include "engine/library/names.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <system_error>

#include "engine/synth/spec.h"

namespace conclave::engine::library {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kGguf = ".gguf";

/// "model-00002-of-00003" as "model" and 2; nothing for any other stem.
struct SplitName {
    std::string model;
    int part = 0;
};
std::optional<SplitName> splitName(const std::string& stem) {
    constexpr std::string_view kForm = "-00000-of-00000";
    if (stem.size() <= kForm.size()) return std::nullopt;
    const size_t from = stem.size() - kForm.size();
    for (size_t i = 0; i < kForm.size(); ++i) {
        const char c = stem[from + i];
        if (kForm[i] == '0' ? std::isdigit(static_cast<unsigned char>(c)) == 0 : c != kForm[i])
            return std::nullopt;
    }
    return SplitName{stem.substr(0, from), std::stoi(stem.substr(from + 1, 5))};
}

int64_t modifiedUnix(const fs::path& path) {
    std::error_code failed;
    const auto time = fs::last_write_time(path, failed);
    if (failed) return 0;
    const auto system = std::chrono::file_clock::to_sys(time);
    return std::chrono::duration_cast<std::chrono::seconds>(system.time_since_epoch()).count();
}

/// The entry for something in a models folder; nothing where it is no model.
std::optional<ModelEntry> entryOf(const fs::path& path) {
    std::error_code failed;
    if (fs::is_directory(path, failed)) {
        if (!fs::is_regular_file(path / "config.json", failed)) return std::nullopt;
    } else {
        if (path.extension() != kGguf || !fs::is_regular_file(path, failed)) return std::nullopt;
        if (const auto split = splitName(path.stem().string()); split && split->part != 1)
            return std::nullopt;
    }
    ModelEntry entry;
    entry.name = nameFromPath(path.string());
    if (!isModelName(entry.name) || synth::isSpec(entry.name)) return std::nullopt;
    entry.path = path.string();
    entry.createdUnix = modifiedUnix(path);
    entry.bytes = bytesOnDisk(entry.path);
    return entry;
}

}  // namespace

bool isModelName(const std::string& name) {
    return !name.empty() && name[0] != '.' && std::none_of(name.begin(), name.end(), [](char c) {
        return c == '/' || static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
    });
}

std::string nameFromPath(const std::string& path) {
    if (synth::isSpec(path)) return path;
    fs::path whole = fs::path(path).lexically_normal();
    if (!whole.has_filename())  // "models/tiny/"
        whole = whole.parent_path();
    std::string name = whole.filename().string();
    if (!name.ends_with(kGguf) || name.size() == kGguf.size()) return name;
    name.resize(name.size() - kGguf.size());
    const auto split = splitName(name);
    return split ? split->model : name;
}

std::vector<ModelEntry> findInstalled(const std::vector<std::string>& folders) {
    std::map<std::string, ModelEntry> byName;
    for (const std::string& folder : folders) {
        std::vector<fs::path> paths;
        std::error_code failed;
        for (fs::directory_iterator it(folder, fs::directory_options::skip_permission_denied, failed), end;
             !failed && it != end; it.increment(failed))
            paths.push_back(it->path());
        std::sort(paths.begin(), paths.end());  // the order of a directory is chance
        for (const fs::path& path : paths) {
            std::optional<ModelEntry> entry = entryOf(path);
            if (!entry) continue;
            const auto [place, isNew] = byName.try_emplace(entry->name, *entry);
            if (!isNew)
                place->second.warnings.push_back(entry->path +
                                                 ": has the same name and is hidden; rename one of them");
        }
    }
    std::vector<ModelEntry> out;
    out.reserve(byName.size());
    for (auto& [name, entry] : byName)
        out.push_back(std::move(entry));
    return out;
}

uint64_t bytesOnDisk(const std::string& path) {
    if (synth::isSpec(path)) return 0;
    std::error_code failed;
    uint64_t bytes = 0;
    const auto add = [&](const fs::path& file) {
        const uint64_t size = fs::is_regular_file(file, failed) ? fs::file_size(file, failed) : 0;
        bytes += failed ? 0 : size;
    };
    const auto split = splitName(fs::path(path).stem().string());
    if (fs::is_directory(path, failed)) {
        for (fs::directory_iterator it(path, failed), end; !failed && it != end; it.increment(failed))
            add(it->path());
    } else if (split) {
        const fs::path folder = fs::path(path).parent_path();
        for (fs::directory_iterator it(folder.empty() ? "." : folder, failed), end; !failed && it != end;
             it.increment(failed)) {
            const auto other = splitName(it->path().stem().string());
            if (other && other->model == split->model && it->path().extension() == kGguf) add(it->path());
        }
    } else {
        add(path);
    }
    return bytes;
}

}  // namespace conclave::engine::library
