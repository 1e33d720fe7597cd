#include "tests/architecture/doors.h"

#include <algorithm>
#include <optional>
#include <sstream>

namespace conclave::tests::architecture {
namespace {

const char* const kTops[] = {"engine/", "app/", "ide-bridge/", "plugins/"};

std::vector<std::string> linesOf(std::string_view text) {
    std::vector<std::string> lines;
    std::istringstream stream{std::string(text)};
    for (std::string line; std::getline(stream, line);)
        lines.push_back(line);
    return lines;
}

std::vector<std::string> wordsOf(const std::string& text) {
    std::istringstream stream(text);
    std::vector<std::string> words;
    for (std::string word; stream >> word;)
        words.push_back(word);
    return words;
}

/// The lines below the heading that begins with `name`, up to the next heading.
std::vector<std::string> section(std::string_view page, const std::string& name) {
    std::vector<std::string> found;
    bool inside = false;
    for (const std::string& line : linesOf(page)) {
        if (line.starts_with("#"))
            inside = line.find("# " + name) != std::string::npos;
        else if (inside)
            found.push_back(line);
    }
    return found;
}

/// `    name: a b` as (name, {a, b}); nothing for any other line.
std::optional<std::pair<std::string, std::vector<std::string>>> statementIn(const std::string& line) {
    const size_t colon = line.find(':');
    if (!line.starts_with("    ") || colon == std::string::npos) return std::nullopt;
    const std::vector<std::string> name = wordsOf(line.substr(0, colon));
    if (name.size() != 1) return std::nullopt;
    return std::pair{name[0], wordsOf(line.substr(colon + 1))};
}

bool startsWithTop(std::string_view path) {
    return std::any_of(std::begin(kTops), std::end(kTops),
                       [&](std::string_view top) { return path.substr(0, top.size()) == top; });
}

/// The code with comments blanked, line by line as before. Strings that hold comment signs do not matter to
/// includes: an include is a line of its own.
std::string withoutComments(std::string_view code) {
    std::string out(code);
    for (size_t at = 0; at + 1 < out.size(); ++at) {
        const bool block = out[at] == '/' && out[at + 1] == '*';
        const bool line = out[at] == '/' && out[at + 1] == '/';
        if (!block && !line) continue;
        const size_t close = block ? out.find("*/", at + 2) : out.find('\n', at);
        const size_t end = close == std::string::npos ? out.size() : close + (block ? 2 : 0);
        std::replace_if(
            out.begin() + static_cast<std::ptrdiff_t>(at), out.begin() + static_cast<std::ptrdiff_t>(end),
            [](char c) { return c != '\n'; }, ' ');
        at = end - 1;
    }
    return out;
}

/// Follows doors from `room`; true if they lead back to it.
bool reachesItself(const Doors& doors, const std::string& room) {
    std::set<std::string> seen;
    std::vector<std::string> open{room};
    while (!open.empty()) {
        const auto found = doors.may.find(open.back());
        open.pop_back();
        if (found == doors.may.end()) continue;
        for (const std::string& next : found->second) {
            if (next == room) return true;
            if (seen.insert(next).second) open.push_back(next);
        }
    }
    return false;
}

}  // namespace

std::string Doors::ownerOf(std::string_view path) const {
    std::string candidate(path);
    while (!candidate.empty() && !may.contains(candidate)) {
        const size_t slash = candidate.rfind('/');
        candidate = slash == std::string::npos ? "" : candidate.substr(0, slash);
    }
    return candidate;
}

bool Doors::allow(const std::string& from, const std::string& to) const {
    if (from == to || openToAll.contains(to)) return true;
    const auto found = may.find(from);
    return found != may.end() && found->second.contains(to);
}

Doors readDoors(std::string_view page) {
    Doors doors;
    std::string prose;
    for (const std::string& line : section(page, "Doors")) {
        if (!line.starts_with("    ")) prose += line + " ";
        if (const auto statement = statementIn(line)) {
            const auto& [room, targets] = *statement;
            doors.may[room].insert(targets.begin(), targets.end());
        }
    }
    const size_t everyone = prose.find("Every room may include");
    const size_t open = prose.find('`', everyone), close = prose.find('`', open + 1);
    if (everyone != std::string::npos && close != std::string::npos)
        doors.openToAll.insert(prose.substr(open + 1, close - open - 1));
    return doors;
}

std::vector<Home> readHomes(std::string_view page) {
    std::vector<Home> homes;
    for (const std::string& line : section(page, "Homes")) {
        if (const auto statement = statementIn(line))
            homes.push_back({statement->first, {statement->second.begin(), statement->second.end()}});
    }
    return homes;
}

std::vector<std::string> homeFaults(const Doors& doors, const std::vector<Home>& homes,
                                    const std::string& path, std::string_view code) {
    std::vector<std::string> faults;
    const std::string room = doors.ownerOf(path);
    int number = 0;
    for (const std::string& line : linesOf(withoutComments(code))) {
        ++number;
        for (const Home& home : homes) {
            const bool header = home.what.front() == '<';
            if (header && line.find("#include") == std::string::npos) continue;
            if (line.find(home.what) != std::string::npos && !home.rooms.contains(room))
                faults.push_back(path + ":" + std::to_string(number) + ": " + home.what +
                                 " has its home elsewhere");
        }
    }
    return faults;
}

std::vector<std::string> doorFaults(const Doors& doors) {
    std::vector<std::string> faults;
    for (const auto& [room, targets] : doors.may) {
        for (const std::string& target : targets)
            if (!doors.may.contains(target)) faults.push_back(room + ": no line names " + target);
        if (reachesItself(doors, room)) faults.push_back(room + ": its doors lead back to itself");
    }
    for (const std::string& room : doors.openToAll)
        if (!doors.may.contains(room)) faults.push_back("open to all, but no line names " + room);
    return faults;
}

std::vector<Include> readIncludes(std::string_view code) {
    std::vector<Include> includes;
    int number = 0;
    for (const std::string& line : linesOf(withoutComments(code))) {
        ++number;
        const size_t hash = line.find_first_not_of(" \t");
        if (hash == std::string::npos || line[hash] != '#') continue;
        const size_t word = line.find_first_not_of(" \t", hash + 1);
        if (word == std::string::npos || line.compare(word, 7, "include") != 0) continue;
        const size_t open = line.find_first_of("\"<", word);
        if (open == std::string::npos) continue;
        const size_t close = line.find(line[open] == '"' ? '"' : '>', open + 1);
        if (close == std::string::npos) continue;
        std::string path = line.substr(open + 1, close - open - 1);
        if (line[open] == '"' || startsWithTop(path)) includes.push_back({number, std::move(path)});
    }
    return includes;
}

std::vector<std::string> includeFaults(const Doors& doors, const std::string& path, std::string_view code) {
    std::vector<std::string> faults;
    const std::string from = doors.ownerOf(path);
    if (from.empty()) return {path + ":1: no door names its room"};
    for (const Include& include : readIncludes(code)) {
        const std::string place = path + ":" + std::to_string(include.line) + ": ";
        if (!startsWithTop(include.path)) {
            faults.push_back(place + "\"" + include.path + "\" is not written from the repository root");
            continue;
        }
        const std::string to = doors.ownerOf(include.path);
        if (to.empty())
            faults.push_back(place + "no door names the room of " + include.path);
        else if (!doors.allow(from, to))
            faults.push_back(place + from + " may not include " + to + ": " + include.path);
    }
    return faults;
}

std::vector<std::string> dependencyFaults(const Doors& doors, const std::string& path,
                                          std::string_view cmake) {
    std::string text;
    for (const std::string& line : linesOf(cmake))
        text += line.substr(0, line.find('#')) + "\n";
    std::vector<std::string> faults;
    for (size_t at = text.find("room("); at != std::string::npos; at = text.find("room(", at + 1)) {
        const size_t end = text.find(')', at);
        const std::vector<std::string> words = wordsOf(text.substr(at + 5, end - at - 5));
        if (words.empty() || !doors.may.contains(words[0])) continue;
        bool depends = false;
        for (const std::string& word : words) {
            if (word == "DEPENDS" || word == "SOURCES" || word == "LINK") {
                depends = word == "DEPENDS";
            } else if (depends && !doors.allow(words[0], word)) {
                faults.push_back(path + ": " + words[0] + " may not depend on " + word);
            }
        }
    }
    return faults;
}

}  // namespace conclave::tests::architecture
