#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tests/architecture/doors.h"

namespace conclave::tests::architecture {

inline constexpr int kMostFileLines = 1000;
inline constexpr int kMostReadmeLines = 25;

/// Everything that a checkout does against docs/architecture.md, each as "place: sentence", in the order of
/// the paths: includes and CMake dependencies that no door allows, uses of what has its home elsewhere, rooms
/// (folders right under engine, app, ide-bridge and plugins that hold C++) without a README.md or with one of
/// more than 25 lines, C++ files of more than 1,000 lines.
std::vector<std::string> houseFaults(const std::filesystem::path& root, const Doors& doors,
                                     const std::vector<Home>& homes);

}  // namespace conclave::tests::architecture
