#include "tests/architecture/house.h"

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

namespace conclave::tests::architecture {
namespace {

namespace fs = std::filesystem;

const char* const kProduct[] = {"engine", "app", "ide-bridge", "plugins"};

bool isCpp(const fs::path& path) {
    static const std::set<std::string> kSuffixes{".h", ".hpp", ".cpp", ".cc", ".cu", ".cuh", ".inl"};
    return kSuffixes.contains(path.extension().string());
}

std::string textOf(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

int linesIn(const std::string& text) {
    const auto ends = static_cast<int>(std::count(text.begin(), text.end(), '\n'));
    return ends + (!text.empty() && text.back() != '\n' ? 1 : 0);
}

std::vector<fs::path> filesUnder(const fs::path& folder) {
    std::vector<fs::path> files;
    if (!fs::is_directory(folder)) return files;
    for (const auto& entry : fs::recursive_directory_iterator(folder))
        if (entry.is_regular_file()) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    return files;
}

/// Checks the length of one file and says so.
void checkLength(const std::string& path, int lines, int most, std::vector<std::string>& faults) {
    if (lines > most) {
        faults.push_back(path + ": " + std::to_string(lines) + " lines, at most " + std::to_string(most) +
                         " are allowed; split it");
    }
}

}  // namespace

std::vector<std::string> houseFaults(const fs::path& root, const Doors& doors,
                                     const std::vector<Home>& homes) {
    std::vector<std::string> faults;
    std::set<std::string> rooms;
    const auto add = [&](const std::vector<std::string>& more) {
        faults.insert(faults.end(), more.begin(), more.end());
    };
    for (const char* top : kProduct) {
        for (const fs::path& file : filesUnder(root / top)) {
            const fs::path relative = fs::relative(file, root);
            const std::string path = relative.generic_string();
            if (file.filename() == "CMakeLists.txt") add(dependencyFaults(doors, path, textOf(file)));
            if (!isCpp(file)) continue;
            const std::string text = textOf(file);
            add(includeFaults(doors, path, text));
            add(homeFaults(doors, homes, path, text));
            checkLength(path, linesIn(text), kMostFileLines, faults);
            if (std::distance(relative.begin(), relative.end()) > 2)
                rooms.insert((*relative.begin() / *std::next(relative.begin())).generic_string());
        }
    }
    for (const std::string& room : rooms) {
        const fs::path readme = root / room / "README.md";
        if (!fs::exists(readme))
            faults.push_back(room + ": has no README.md");
        else
            checkLength(room + "/README.md", linesIn(textOf(readme)), kMostReadmeLines, faults);
    }
    for (const fs::path& file : filesUnder(root / "tests"))
        if (isCpp(file))
            checkLength(fs::relative(file, root).generic_string(), linesIn(textOf(file)), kMostFileLines,
                        faults);
    return faults;
}

}  // namespace conclave::tests::architecture
