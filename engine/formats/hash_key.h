#pragma once

#include <cstdint>
#include <string_view>

namespace conclave::engine::formats {

/// What makes a hash of ours differ from everybody else's.
struct HashKey {
    uint64_t first = 0, second = 0;
};

/// Drawn at random once for the process. Tables of what a file holds are keyed with it: whoever made the file
/// cannot know it, and so cannot choose entries that all fall on one place and make loading take for ever.
HashKey processHashKey();

/// SipHash-1-3 of Aumasson and Bernstein ("SipHash: a fast short-input PRF", 2012; one round for each eight
/// bytes and three at the end): without the key nobody can tell which texts collide.
uint64_t hashOf(std::string_view text, const HashKey& key);

}  // namespace conclave::engine::formats
