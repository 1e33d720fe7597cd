#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace conclave::engine::model {

/// What a tensor does in a model.
enum class Role : uint8_t {
    Embedding,
    FinalNorm,
    Head,
    AttentionNorm,
    Query,
    QueryBias,
    Key,
    KeyBias,
    Value,
    ValueBias,
    Output,
    OutputBias,
    QueryNorm,
    KeyNorm,
    // multi-head latent attention
    QueryA,
    QueryABias,
    QueryANorm,
    QueryB,
    LatentA,
    LatentABias,
    LatentNorm,
    LatentB,
    LatentKey,
    LatentValue,
    MlpNorm,
    Gate,
    GateBias,
    Up,
    UpBias,
    Down,
    DownBias,
    Router,
    RouterBias,
    ExpertGate,
    ExpertUp,
    ExpertDown,
    SharedGate,
    SharedUp,
    SharedDown,
};

/// The two schemes of names.
enum class Naming : uint8_t { HuggingFace, Gguf };

/// One role's name in both schemes; {layer} and {expert} stand for numbers, an empty name for "does not exist
/// there". GGUF stacks a layer's experts in one tensor. Rows of the same role are alternatives, best first.
struct NameRow {
    Role role;
    std::string_view huggingFace;
    std::string_view gguf;
};

/// `pattern` with its numbers put in.
std::string fillName(std::string_view pattern, uint32_t layer, uint32_t expert = 0);

/// The numbers in `name` where it fits `pattern`.
struct NameNumbers {
    uint32_t layer = 0, expert = 0;
};
std::optional<NameNumbers> matchName(std::string_view pattern, std::string_view name);

/// The name that GGUF files of a family with these names give a role's tensor (the stack, where GGUF stacks
/// experts); empty where they have none.
std::string ggufName(std::span<const NameRow> table, Role role, uint32_t layer);

/// The name of the same tensor in the other scheme (of the stack, where GGUF stacks experts); empty where the
/// table has none.
std::optional<std::string> translateName(std::span<const NameRow> table, std::string_view name, Naming from);

}  // namespace conclave::engine::model
