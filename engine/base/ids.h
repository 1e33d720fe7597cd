#pragma once

#include <cstdint>
#include <functional>

namespace conclave::engine::base {

/// A row of the embedding table.
enum class TokenId : int32_t {};
/// One running or finished generation of this engine process; never reused.
enum class SequenceId : uint64_t {};
/// Whose request it is: the peer's uid on a Unix socket. Caches and listings never cross owners.
enum class OwnerId : uint32_t {};

constexpr int32_t toInt(TokenId id) {
    return static_cast<int32_t>(id);
}
constexpr uint64_t toInt(SequenceId id) {
    return static_cast<uint64_t>(id);
}
constexpr uint32_t toInt(OwnerId id) {
    return static_cast<uint32_t>(id);
}

/// Who goes first: ghost text before chat before indexing and tuning.
enum class Priority : uint8_t { Interactive, Chat, Background };

}  // namespace conclave::engine::base
