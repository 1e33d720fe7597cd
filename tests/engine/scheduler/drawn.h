#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "engine/model/model.h"
#include "engine/platform/memory.h"

/// For tests that draw their circumstances at random.
namespace conclave::engine::testing {

using Random = std::mt19937;

/// One seed for the whole run, another sequence for every case.
inline Random randomFor(const std::string& name) {
    static const uint32_t seed = [] {
        const char* given = std::getenv("CONCLAVE_SEED");
        return given != nullptr ? static_cast<uint32_t>(std::atoll(given)) : std::random_device{}();
    }();
    std::printf("CONCLAVE_SEED=%u\n", seed);
    std::seed_seq mixed{seed, static_cast<uint32_t>(std::hash<std::string>{}(name))};
    return Random(mixed);
}

/// KV pages of one sequence.
struct Pages {
    explicit Pages(const model::Model& model, size_t positions) {
        for (size_t n = 0; n * 64 < positions; ++n) {
            memory.push_back(std::move(*platform::Memory::allocate(model.kv.pageBytes, "a test's pages")));
            data.push_back(memory.back().data());
        }
    }
    std::vector<platform::Memory> memory;
    std::vector<std::byte*> data;
};

}  // namespace conclave::engine::testing
