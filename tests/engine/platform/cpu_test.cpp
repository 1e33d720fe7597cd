#include "engine/platform/cpu.h"

#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

namespace conclave::engine::platform {
namespace {

/// The kernel's own list of what this processor may use.
bool listed(const std::string& flag) {
    std::ifstream in("/proc/cpuinfo");
    for (std::string line; std::getline(in, line);) {
        if (line.compare(0, 5, "flags") != 0) continue;
        std::istringstream words(line);
        for (std::string word; words >> word;)
            if (word == flag) return true;
        return false;
    }
    return false;
}

TEST(Cpu, AgreesWithTheKernel) {
    const CpuFeatures found = cpuFeatures();
    EXPECT_FALSE(found.model.empty());
    EXPECT_EQ(listed("avx2"), found.avx2);
    EXPECT_EQ(listed("fma"), found.fma);
    EXPECT_EQ(listed("f16c"), found.f16c);
    EXPECT_EQ(listed("avx512f") && listed("avx512bw") && listed("avx512dq") && listed("avx512vl"),
              found.avx512);
    EXPECT_EQ(listed("avx512_vnni"), found.avx512Vnni);
    EXPECT_EQ(listed("avx512_bf16"), found.avx512Bf16);
}

TEST(Cpu, DescribesItself) {
    EXPECT_EQ("none", describe({}));
    EXPECT_EQ("avx2 fma", describe({.model = "x", .avx2 = true, .fma = true}));
    EXPECT_EQ("avx512 vnni bf16",
              describe({.model = "x", .avx512 = true, .avx512Vnni = true, .avx512Bf16 = true}));
}

}  // namespace
}  // namespace conclave::engine::platform
