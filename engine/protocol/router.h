#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/protocol/fields.h"

namespace conclave::engine::protocol {

/// A bias on one expert's logit.
struct RouterBias {
    std::optional<uint32_t> layer;  ///< of the transformer; none = all layers with experts
    uint32_t expert = 0;
    std::optional<double> value;  ///< −1000–1000; none: the expert is never chosen ("forbid": true)
};

/// The object `router` of a request and of a model's default: how experts are chosen and weighed. What is
/// empty is as trained.
struct RouterWish {
    std::optional<double> temperature;  ///< 0.05–20
    std::optional<uint32_t> active;     ///< experts that work on a token, from 1 on
    std::optional<double> floor;        ///< 0–1, less than 1
    std::vector<RouterBias> bias;       ///< at most 1,024
};

/// The field `router`; nothing where it is absent, so that the model's default counts. An object without
/// fields asks for the model as trained.
std::optional<RouterWish> readRouter(Fields& fields);
Json routerJson(const RouterWish& wish);

}  // namespace conclave::engine::protocol
