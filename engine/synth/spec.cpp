#include "engine/synth/spec.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "engine/model/config.h"
#include "engine/synth/config.h"

namespace conclave::engine::synth {
namespace {

using base::Code;
using base::Error;
using base::Result;

constexpr std::string_view kPrefix = "synth:";

/// The row of that name, or a sentence that lists the names.
template <class Row>
Result<const Row*> named(std::span<const Row> rows, const std::string& name, const char* what) {
    std::string known;
    for (const Row& row : rows) {
        if (row.name == name) return &row;
        known += (known.empty() ? "" : ", ") + std::string(row.name);
    }
    return Error{Code::OutOfRange, "", what, {name.empty() ? "\"\"" : name, "one of " + known}};
}

std::vector<std::string> partsOf(std::string_view text) {
    std::vector<std::string> parts(1);
    for (const char c : text)
        if (c == ':')
            parts.emplace_back();
        else
            parts.back() += c;
    return parts;
}

std::string lowerCase(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return text;
}

}  // namespace

Result<Spec> checkWish(const Wish& wish) {
    Spec spec;
    spec.seed = wish.seed;
    CONCLAVE_TRY(spec.shape, named(shapes(), wish.shape, "shape"));
    const std::string quant = wish.quant.empty() ? "q4_k_m" : lowerCase(wish.quant);
    CONCLAVE_TRY(spec.recipe, named(recipes(), quant, "quant"));
    CONCLAVE_TRY(const ShapeConfig whole, configOf(*spec.shape, 0));
    spec.layers = whole.config.layers;
    if (!wish.layers) return spec;
    if (*wish.layers < 1 || *wish.layers > spec.layers)
        return Error{Code::OutOfRange,
                     "",
                     "layers",
                     {std::to_string(*wish.layers),
                      "1 to " + std::to_string(spec.layers) + ", which " + wish.shape + " has"}};
    spec.layers = static_cast<uint32_t>(*wish.layers);
    return spec;
}

bool isSpec(std::string_view path) {
    return path.starts_with(kPrefix);
}

Result<Spec> readSpec(std::string_view path) {
    CONCLAVE_CHECK(isSpec(path));
    const std::vector<std::string> parts = partsOf(path.substr(kPrefix.size()));
    const auto malformed = [&](const char* what) {
        return Error{Code::BadArgument, "", std::string(path), {what}};
    };
    if (parts.size() > 3) return malformed("has too many parts; write synth:SHAPE:QUANT:LAYERS");
    Wish wish{.shape = parts[0]};
    if (parts.size() > 1) wish.quant = parts[1];
    if (parts.size() > 2) {
        int64_t layers = 0;
        const char* end = parts[2].data() + parts[2].size();
        const auto [at, failed] = std::from_chars(parts[2].data(), end, layers);
        if (failed != std::errc() || at != end)
            return malformed("its last part is no number of layers; write synth:SHAPE:QUANT:LAYERS");
        wish.layers = layers;
    }
    return checkWish(wish);
}

std::string toText(const Spec& spec) {
    return std::string(kPrefix) + std::string(spec.shape->name) + ":" + std::string(spec.recipe->name) + ":" +
           std::to_string(spec.layers);
}

}  // namespace conclave::engine::synth
