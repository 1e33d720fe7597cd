#include "engine/offline/bench_parts.h"

#include <algorithm>
#include <chrono>
#include <cstring>

namespace conclave::engine::offline {
namespace {

uint64_t next(uint64_t state) {
    return state * 6364136223846793005U + 1442695040888963407U;
}

}  // namespace

double median(std::vector<double> values) {
    if (values.empty()) return 0;
    const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

double secondsNow() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::vector<base::TokenId> benchTokens(uint32_t vocabulary, uint32_t count) {
    std::vector<base::TokenId> out;
    uint64_t state = 7;
    for (uint32_t i = 0; i < count; ++i) {
        state = next(state);
        out.push_back(base::TokenId{static_cast<int32_t>((state >> 33) % vocabulary)});
    }
    return out;
}

base::Result<BenchPages> BenchPages::make(const model::Model& model, uint32_t positions) {
    const size_t count = (size_t{positions} + kernels::kPagePositions - 1) / kernels::kPagePositions;
    BenchPages out;
    CONCLAVE_TRY(out.memory,
                 platform::Memory::allocate(count * model.kv.pageBytes, "the KV cache of a benchmark"));
    uint64_t state = 1;
    const bool half = model.kv.type == kernels::KvType::F16;
    for (size_t at = 0; at < out.memory.size(); at += 4) {
        state = next(state);
        const float value =
            static_cast<float>(static_cast<int32_t>(state >> 40 & 0xffff) - 0x8000) * 0x1p-16f;
        const uint32_t both = quant::floatToHalf(value) * 0x10001u;
        if (half)
            std::memcpy(out.memory.data() + at, &both, 4);
        else
            std::memcpy(out.memory.data() + at, &value, 4);
    }
    for (size_t page = 0; page < count; ++page)
        out.pages.push_back(out.memory.data() + page * model.kv.pageBytes);
    return out;
}

}  // namespace conclave::engine::offline
