#include "engine/model/rounding.h"

#include <algorithm>
#include <cstdio>
#include <numeric>

#include "engine/model/footprint.h"

namespace conclave::engine::model {

using kernels::Activation;

kernels::Activation roundingOf(ActivationChoice choice, const kernels::Kernels& kernels, Role role,
                               quant::Format format) {
    // A router that rounds its input chooses other experts: it is exact in every mode.
    if (role == Role::Router) return Activation::F32;
    switch (choice) {
    case ActivationChoice::Exact:
        return Activation::F32;
    case ActivationChoice::Preferred:
        return kernels.preferred(format);
    case ActivationChoice::BF16:
        return kernels::appliedActivation(format, Activation::BF16);
    case ActivationChoice::Int8:
        return kernels::appliedActivation(format, Activation::Int8);
    case ActivationChoice::Int8x2:
        return kernels::appliedActivation(format, Activation::Int8x2);
    }
    return Activation::F32;
}

std::vector<kernels::Activation> roundingsOf(ActivationChoice choice, const kernels::Kernels& kernels,
                                             const residency::Plan& plan, std::span<const Role> roles,
                                             const ModelConfig& config) {
    std::vector<Activation> roundings;
    for (size_t i = 0; i < plan.places.size(); ++i)
        roundings.push_back(roundingOf(choice, kernels, roles[i], plan.places[i].format));
    if (choice != ActivationChoice::Preferred) return roundings;
    const Footprint met = footprintOf(plan, roles, roundings, config);
    const auto sum = [](const auto& counts) {
        return std::accumulate(std::begin(counts), std::end(counts), uint64_t{0});
    };
    // A value costs a multiplication and an addition.
    if ((sum(met.operations) + sum(met.headOperations)) / 2 < kSmallModel)
        std::replace(roundings.begin(), roundings.end(), Activation::Int8, Activation::Int8x2);
    return roundings;
}

std::string_view nameOf(ActivationChoice choice) {
    constexpr std::string_view kNames[] = {"f32", "preferred", "bf16", "int8", "int8x2"};
    return kNames[static_cast<size_t>(choice)];
}

std::string numericsIdOf(const LoadOptions& options) {
    std::string id = std::string(options.kernels->family) + "/" + std::string(nameOf(options.activations)) +
                     "/" + (options.kv == kernels::KvType::F32 ? "f32" : "f16") + "/" +
                     std::to_string(kernels::kNumericsVersion);
    if (options.expertCap != 0) {
        char cap[32];
        std::snprintf(cap, sizeof cap, "/cap%g", double{options.expertCap});
        id += cap;
    }
    return id;
}

}  // namespace conclave::engine::model
