#include "tests/architecture/doors.h"

#include <gtest/gtest.h>

namespace conclave::tests::architecture {
namespace {

const char* const kPage = R"(# A page

    engine/no: engine/where

## Doors: who may include whom

Every room may include
`engine/base`; the rest is forbidden.

    engine/base:
    engine/text: engine/formats
    engine/formats:
    engine/main.cpp: engine/text

## After

    engine/late: engine/text
)";

TEST(Doors, AreReadFromTheirSectionOnly) {
    const Doors doors = readDoors(kPage);
    ASSERT_EQ(doors.may.size(), 4u);
    EXPECT_EQ(doors.may.at("engine/text"), std::set<std::string>{"engine/formats"});
    EXPECT_TRUE(doors.may.at("engine/base").empty());
    EXPECT_EQ(doors.openToAll, std::set<std::string>{"engine/base"});
    EXPECT_TRUE(readDoors("# No such section\n\n    a: b\n").may.empty());
}

TEST(Doors, TheLongestNameOwnsAPath) {
    const Doors doors = readDoors(kPage);
    EXPECT_EQ(doors.ownerOf("engine/text/jinja/parser.cpp"), "engine/text");
    EXPECT_EQ(doors.ownerOf("engine/main.cpp"), "engine/main.cpp");
    EXPECT_EQ(doors.ownerOf("engine/textual/x.h"), "");
    EXPECT_EQ(doors.ownerOf("engine/stray.cpp"), "");
}

TEST(Doors, OpenOneWayAndToBase) {
    const Doors doors = readDoors(kPage);
    EXPECT_TRUE(doors.allow("engine/text", "engine/formats"));
    EXPECT_FALSE(doors.allow("engine/formats", "engine/text"));
    EXPECT_TRUE(doors.allow("engine/formats", "engine/base"));
    EXPECT_TRUE(doors.allow("engine/text", "engine/text"));
    EXPECT_FALSE(doors.allow("engine/main.cpp", "engine/formats"));
}

TEST(Doors, CirclesAndUnknownNamesAreFaults) {
    EXPECT_TRUE(doorFaults(readDoors(kPage)).empty());
    const Doors bad = readDoors("## Doors\n\n    a: b\n    b: c\n    c: a\n    d: nowhere\n");
    const std::vector<std::string> faults = doorFaults(bad);
    EXPECT_EQ(faults, (std::vector<std::string>{
                          "a: its doors lead back to itself", "b: its doors lead back to itself",
                          "c: its doors lead back to itself", "d: no line names nowhere"}));
}

TEST(Includes, AreReadWithTheirLines) {
    const std::vector<Include> includes = readIncludes("#pragma once\n"
                                                       "#include <vector>\n"
                                                       "  #  include \"engine/text/bpe.h\"\n"
                                                       "// #include \"engine/model/model.h\"\n"
                                                       "/* \n#include \"engine/scheduler/scheduler.h\"\n*/\n"
                                                       "#include <engine/formats/gguf.h> // why\n"
                                                       "const char* x = \"#include\";\n");
    ASSERT_EQ(includes.size(), 2u);
    EXPECT_EQ(includes[0].line, 3);
    EXPECT_EQ(includes[0].path, "engine/text/bpe.h");
    EXPECT_EQ(includes[1].line, 8);
    EXPECT_EQ(includes[1].path, "engine/formats/gguf.h");
}

TEST(Includes, WhatNoDoorAllowsIsAFault) {
    const Doors doors = readDoors(kPage);
    EXPECT_TRUE(includeFaults(doors, "engine/text/bpe.cpp",
                              "#include \"engine/text/bpe.h\"\n#include \"engine/formats/gguf.h\"\n"
                              "#include \"engine/base/result.h\"\n")
                    .empty());
    EXPECT_EQ(
        includeFaults(doors, "engine/formats/gguf.cpp", "\n#include \"engine/text/bpe.h\"\n"),
        std::vector<std::string>{
            "engine/formats/gguf.cpp:2: engine/formats may not include engine/text: engine/text/bpe.h"});
    EXPECT_EQ(
        includeFaults(doors, "engine/text/bpe.cpp", "#include \"bpe.h\"\n"),
        std::vector<std::string>{"engine/text/bpe.cpp:1: \"bpe.h\" is not written from the repository root"});
    EXPECT_EQ(includeFaults(doors, "engine/stray.cpp", ""),
              std::vector<std::string>{"engine/stray.cpp:1: no door names its room"});
    EXPECT_EQ(includeFaults(doors, "engine/text/a.cpp", "#include \"engine/new/b.h\"\n"),
              std::vector<std::string>{"engine/text/a.cpp:1: no door names the room of engine/new/b.h"});
}

TEST(Homes, WhatIsUsedElsewhereIsAFault) {
    const std::string page =
        std::string(kPage) +
        "\n## Homes: who may use what\n\n    <pcre2.h>: engine/text\n    <boost/beast: engine/formats\n"
        "    getenv(: engine/base\n";
    const Doors doors = readDoors(page);
    const std::vector<Home> homes = readHomes(page);
    ASSERT_EQ(homes.size(), 3u);
    EXPECT_TRUE(homeFaults(doors, homes, "engine/text/a.cpp", "#include <pcre2.h>\n// getenv(\n").empty());
    EXPECT_EQ(homeFaults(doors, homes, "engine/text/a.cpp",
                         "#include <boost/beast/http.hpp>\n\nconst char* home = std::getenv(\"HOME\");\n"),
              (std::vector<std::string>{"engine/text/a.cpp:1: <boost/beast has its home elsewhere",
                                        "engine/text/a.cpp:3: getenv( has its home elsewhere"}));
}

TEST(Dependencies, WhatNoDoorAllowsIsAFault) {
    const Doors doors = readDoors(kPage);
    EXPECT_TRUE(dependencyFaults(
                    doors, "engine/text/CMakeLists.txt",
                    "room(engine/text SOURCES bpe.cpp\n     DEPENDS engine/base engine/formats LINK x)\n")
                    .empty());
    EXPECT_EQ(dependencyFaults(doors, "engine/formats/CMakeLists.txt",
                               "# room(engine/formats DEPENDS engine/base)\n"
                               "room(engine/formats SOURCES gguf.cpp DEPENDS engine/text)\n"),
              std::vector<std::string>{
                  "engine/formats/CMakeLists.txt: engine/formats may not depend on engine/text"});
}

}  // namespace
}  // namespace conclave::tests::architecture
