#include "tests/architecture/house.h"

#include <unistd.h>

#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

namespace conclave::tests::architecture {
namespace {

namespace fs = std::filesystem;

/// A checkout of a few files in a folder of its own, gone at the end of the test.
class HouseFaults : public testing::Test {
  protected:
    HouseFaults() : root_(fs::temp_directory_path() / ("conclave-house-" + std::to_string(getpid()))) {
        fs::create_directories(root_);
    }
    ~HouseFaults() override { fs::remove_all(root_); }

    void write(const std::string& path, const std::string& text) {
        fs::create_directories((root_ / path).parent_path());
        std::ofstream(root_ / path) << text;
    }

    std::vector<std::string> faults() const { return houseFaults(root_, doors_, homes_); }

    fs::path root_;
    std::vector<Home> homes_{{"getenv(", {"engine/text"}}};
    Doors doors_ = readDoors("## Doors\nEvery room may include `engine/base`.\n\n"
                             "    engine/base:\n    engine/text: engine/formats\n    engine/formats:\n");
};

std::string lines(int count) {
    std::string text;
    for (int i = 0; i < count; ++i)
        text += "//\n";
    return text;
}

TEST_F(HouseFaults, ACleanHouseHasNone) {
    write("engine/text/bpe.cpp", "#include \"engine/formats/gguf.h\"\n");
    write("engine/text/README.md", lines(25));
    write("engine/formats/gguf.h", lines(1000));
    write("engine/formats/README.md", "# engine/formats");
    write("engine/fetch/README.md", lines(99));  // no C++: not a room yet
    EXPECT_EQ(faults(), std::vector<std::string>{});
}

TEST_F(HouseFaults, AForbiddenArrowIsOne) {
    write("engine/formats/gguf.cpp", "#include \"engine/text/bpe.h\"\n");
    write("engine/formats/README.md", "");
    EXPECT_EQ(faults(), std::vector<std::string>{
                            "engine/formats/gguf.cpp:1: engine/formats may not include engine/text: "
                            "engine/text/bpe.h"});
}

TEST_F(HouseFaults, AUseFarFromHomeIsOne) {
    write("engine/text/bpe.cpp", "getenv(\"A\")\n");
    write("engine/text/README.md", "");
    EXPECT_EQ(faults(), std::vector<std::string>{});
    write("engine/formats/gguf.cpp", "getenv(\"A\")\n");
    write("engine/formats/README.md", "");
    EXPECT_EQ(faults(),
              std::vector<std::string>{"engine/formats/gguf.cpp:1: getenv( has its home elsewhere"});
}

TEST_F(HouseFaults, AForbiddenDependencyIsOne) {
    write("engine/formats/CMakeLists.txt", "room(engine/formats DEPENDS engine/text)\n");
    EXPECT_EQ(faults(), std::vector<std::string>{
                            "engine/formats/CMakeLists.txt: engine/formats may not depend on engine/text"});
}

TEST_F(HouseFaults, ARoomWithoutReadmeOrWithALongOneIsOne) {
    write("engine/text/deep/bpe.cpp", "");
    write("engine/formats/gguf.cpp", "");
    write("engine/formats/README.md", lines(26));
    EXPECT_EQ(faults(), (std::vector<std::string>{
                            "engine/formats/README.md: 26 lines, at most 25 are allowed; split it",
                            "engine/text: has no README.md"}));
}

TEST_F(HouseFaults, ALongFileIsOneInTestsToo) {
    write("engine/text/bpe.cpp", lines(1001));
    write("engine/text/README.md", "");
    write("tests/engine/text/bpe_test.cpp", lines(1002));
    EXPECT_EQ(faults(),
              (std::vector<std::string>{
                  "engine/text/bpe.cpp: 1001 lines, at most 1000 are allowed; split it",
                  "tests/engine/text/bpe_test.cpp: 1002 lines, at most 1000 are allowed; split it"}));
}

/// docs/architecture.md of this checkout.
std::string ownPage() {
    std::ifstream page(fs::path(CONCLAVE_SOURCE_DIR) / "docs/architecture.md");
    std::ostringstream text;
    text << page.rdbuf();
    return text.str();
}

std::string joined(const std::vector<std::string>& faults) {
    std::string text;
    for (const std::string& fault : faults)
        text += "\n  " + fault;
    return text;
}

TEST(ThisHouse, ItsPageHasDoorsWithoutCircles) {
    const Doors doors = readDoors(ownPage());
    EXPECT_GE(doors.may.size(), 20u) << "docs/architecture.md lacks its section \"Doors\"";
    EXPECT_EQ(joined(doorFaults(doors)), "");
}

TEST(ThisHouse, EveryHomeIsARoom) {
    const Doors doors = readDoors(ownPage());
    const std::vector<Home> homes = readHomes(ownPage());
    EXPECT_GE(homes.size(), 10u) << "docs/architecture.md lacks its section \"Homes\"";
    for (const Home& home : homes)
        for (const std::string& room : home.rooms)
            EXPECT_TRUE(doors.may.contains(room)) << home.what << ": " << room;
}

TEST(ThisHouse, KeepsToItsPlan) {
    EXPECT_EQ(joined(houseFaults(CONCLAVE_SOURCE_DIR, readDoors(ownPage()), readHomes(ownPage()))), "");
}

}  // namespace
}  // namespace conclave::tests::architecture
