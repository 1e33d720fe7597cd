#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "engine/synth/recipe.h"
#include "engine/synth/shape.h"

namespace conclave::engine::synth {

inline constexpr uint64_t kDefaultSeed = 1;

/// A model of random weights, checked: everything that its bytes depend on.
struct Spec {
    const Shape* shape = nullptr;
    const Recipe* recipe = nullptr;
    uint32_t layers = 0;  ///< 1 to those of the shape
    uint64_t seed = kDefaultSeed;
};

/// The same as a person types it.
struct Wish {
    std::string shape;
    std::string quant{};              ///< empty = q4_k_m
    std::optional<int64_t> layers{};  ///< none = all of the shape's
    uint64_t seed = kDefaultSeed;
};

/// Errors: OutOfRange, which names what is known.
base::Result<Spec> checkWish(const Wish& wish);

/// Whether a model's path is none: "synth:…".
bool isSpec(std::string_view path);

/// "synth:SHAPE[:QUANT[:LAYERS]]", with the default seed. Errors: BadArgument for another form; checkWish's.
base::Result<Spec> readSpec(std::string_view path);

/// The one text of a specification, with everything said: "synth:olmoe-1b-7b:q4_k_m:16".
std::string toText(const Spec& spec);

}  // namespace conclave::engine::synth
