#include "engine/platform/cgroup.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>
#include <string_view>
#include <vector>

namespace conclave::engine::platform {
namespace {

std::optional<uint64_t> toNumber(std::string_view text) {
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

/// The first words of a small file; none where it cannot be read.
std::vector<std::string> wordsOf(const std::string& path) {
    std::ifstream in(path);
    std::vector<std::string> words;
    for (std::string word; in >> word;)
        words.push_back(std::move(word));
    return words;
}

std::optional<uint64_t> numberIn(const std::string& path) {
    const auto words = wordsOf(path);
    return words.empty() ? std::nullopt : toNumber(words[0]);
}

/// The number behind `key` in a file of "key number" lines.
uint64_t statIn(const std::string& path, std::string_view key) {
    const auto words = wordsOf(path);
    for (size_t i = 0; i + 1 < words.size(); i += 2)
        if (words[i] == key) return toNumber(words[i + 1]).value_or(0);
    return 0;
}

template <class T> void tighten(std::optional<T>& limit, T value) {
    limit = limit ? std::min(*limit, value) : value;
}

void addMemory(CgroupLimits& limits, std::optional<uint64_t> most, std::optional<uint64_t> used,
               uint64_t cache) {
    // Version 1 writes "no limit" as a number near 2^63.
    if (!most || *most >= uint64_t{1} << 60) return;
    tighten(limits.memory, *most);
    const uint64_t held = used.value_or(0) - std::min(cache, used.value_or(0));
    tighten(limits.memoryLeft, *most - std::min(held, *most));
}

void readVersion2(CgroupLimits& limits, const std::string& folder) {
    const auto cpu = wordsOf(folder + "/cpu.max");
    if (cpu.size() == 2)
        if (const auto quota = toNumber(cpu[0]), period = toNumber(cpu[1]); quota && period && *period > 0)
            tighten(limits.processors, static_cast<double>(*quota) / static_cast<double>(*period));
    addMemory(limits, numberIn(folder + "/memory.max"), numberIn(folder + "/memory.current"),
              statIn(folder + "/memory.stat", "inactive_file"));
}

void readVersion1Cpu(CgroupLimits& limits, const std::string& folder) {
    const auto quota = numberIn(folder + "/cpu.cfs_quota_us");  // "-1" is no number: no limit
    const auto period = numberIn(folder + "/cpu.cfs_period_us");
    if (quota && period && *period > 0)
        tighten(limits.processors, static_cast<double>(*quota) / static_cast<double>(*period));
}

void readVersion1Memory(CgroupLimits& limits, const std::string& folder) {
    addMemory(limits, numberIn(folder + "/memory.limit_in_bytes"),
              numberIn(folder + "/memory.usage_in_bytes"),
              statIn(folder + "/memory.stat", "total_inactive_file"));
}

/// Reads `mount` + `group` and every folder above it down to `mount`. Inside a container the group's path may
/// be the host's and not exist here; then only the mount's own files answer, which is the container's limit.
template <class Read>
void readUpwards(CgroupLimits& limits, const std::string& mount, std::string group, Read read) {
    while (group.size() > 1) {
        read(limits, mount + group);
        group.resize(group.rfind('/'));
    }
    read(limits, mount);
}

}  // namespace

CgroupLimits cgroupLimits(const std::string& root) {
    CgroupLimits limits;
    const std::string mount = root + "/sys/fs/cgroup";
    std::ifstream groups(root + "/proc/self/cgroup");
    for (std::string line; std::getline(groups, line);) {  // "4:cpu,cpuacct:/a/b", version 2 "0::/a/b"
        const size_t first = line.find(':');
        const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
        if (second == std::string::npos || second + 1 >= line.size() || line[second + 1] != '/') continue;
        const std::string controllers = line.substr(first + 1, second - first - 1);
        const std::string group = line.substr(second + 1);
        if (controllers.empty()) {
            readUpwards(limits, mount, group, readVersion2);
            readUpwards(limits, mount + "/unified", group, readVersion2);
            continue;
        }
        std::istringstream names(controllers);
        for (std::string name; std::getline(names, name, ',');) {
            if (name == "cpu") readUpwards(limits, mount + "/cpu", group, readVersion1Cpu);
            if (name == "memory") readUpwards(limits, mount + "/memory", group, readVersion1Memory);
        }
    }
    return limits;
}

}  // namespace conclave::engine::platform
