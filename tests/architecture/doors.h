#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace conclave::tests::architecture {

/// Which room may include which, as the section "Doors" of docs/architecture.md says it: one line `room: a b`
/// a room, indented by four spaces. A room is a folder ("engine/text") or a single file ("engine/main.cpp").
struct Doors {
    std::map<std::string, std::set<std::string>> may;
    std::set<std::string> openToAll;  ///< "Every room may include `engine/base`"

    /// The room that a path from the repository root belongs to: the longest name that is the path or a
    /// folder of it; empty where no line names one.
    std::string ownerOf(std::string_view path) const;

    /// True if a file of `from` may include a file of `to` (both rooms).
    bool allow(const std::string& from, const std::string& to) const;
};

/// Reads the section. A page without it gives no rooms.
Doors readDoors(std::string_view page);

/// Which rooms may use a header of a library or a function, as the section "Homes" says it, one line `what:
/// rooms` each. `what` is "<header" or the beginning of it, or "function(".
struct Home {
    std::string what;
    std::set<std::string> rooms;
};
std::vector<Home> readHomes(std::string_view page);

/// Uses of what has a home in the file at `path` that is not one of its rooms, each as "path:line: sentence".
std::vector<std::string> homeFaults(const Doors& doors, const std::vector<Home>& homes,
                                    const std::string& path, std::string_view code);

/// What is wrong with the doors themselves: a name that no line defines, rooms that reach each other in a
/// circle.
std::vector<std::string> doorFaults(const Doors& doors);

/// One #include of ours in a file.
struct Include {
    int line = 0;
    std::string path;
};

/// Includes in quotes, and those in angle brackets that name a room; comments are not read.
std::vector<Include> readIncludes(std::string_view code);

/// The includes of the file at `path` that no door allows, each as "path:line: sentence".
std::vector<std::string> includeFaults(const Doors& doors, const std::string& path, std::string_view code);

/// The rooms that a CMakeLists.txt says a room depends on and that no door allows. `path` is the file's own.
std::vector<std::string> dependencyFaults(const Doors& doors, const std::string& path,
                                          std::string_view cmake);

}  // namespace conclave::tests::architecture
