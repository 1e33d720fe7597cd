#include "engine/formats/hash_key.h"

#include <bit>
#include <cstring>
#include <random>

namespace conclave::engine::formats {
namespace {

struct SipState {
    uint64_t v0, v1, v2, v3;

    explicit SipState(const HashKey& key)
        : v0(key.first ^ 0x736F6D6570736575U), v1(key.second ^ 0x646F72616E646F6DU),
          v2(key.first ^ 0x6C7967656E657261U), v3(key.second ^ 0x7465646279746573U) {}

    void round() {
        v0 += v1;
        v1 = std::rotl(v1, 13) ^ v0;
        v0 = std::rotl(v0, 32);
        v2 += v3;
        v3 = std::rotl(v3, 16) ^ v2;
        v0 += v3;
        v3 = std::rotl(v3, 21) ^ v0;
        v2 += v1;
        v1 = std::rotl(v1, 17) ^ v2;
        v2 = std::rotl(v2, 32);
    }
    void take(uint64_t word) {
        v3 ^= word;
        round();
        v0 ^= word;
    }
};

/// Up to seven bytes, the first in the lowest place.
uint64_t tailOf(const char* bytes, size_t size) {
    uint64_t word = 0;
    for (size_t i = 0; i < size; ++i)
        word |= uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
    return word;
}

}  // namespace

HashKey processHashKey() {
    static const HashKey key = [] {
        std::random_device random;
        const auto draw = [&random] { return uint64_t{random()} << 32 | random(); };
        return HashKey{.first = draw(), .second = draw()};
    }();
    return key;
}

uint64_t hashOf(std::string_view text, const HashKey& key) {
    SipState state(key);
    const size_t whole = text.size() & ~size_t{7};
    for (size_t at = 0; at < whole; at += 8) {
        uint64_t word;
        std::memcpy(&word, text.data() + at, sizeof word);
        state.take(word);
    }
    state.take(uint64_t{text.size()} << 56 | tailOf(text.data() + whole, text.size() - whole));
    state.v2 ^= 0xFF;
    for (int i = 0; i < 3; ++i)
        state.round();
    return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

}  // namespace conclave::engine::formats
