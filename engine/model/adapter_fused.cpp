#include "engine/model/adapter_fused.h"

#include <array>
#include <charconv>

namespace conclave::engine::model {
namespace {

using base::Code;
using base::Error;
using base::Result;
using formats::AdapterFile;

/// From the version that wrote the file, where shapes leave both open; nothing where it does not say.
std::optional<Orientation> orientationOfVersion(const std::string& version) {
    std::array<int, 3> numbers{};
    const char* at = version.data();
    const char* end = at + version.size();
    for (int& number : numbers) {
        const auto [next, error] = std::from_chars(at, end, number);
        if (error != std::errc()) return std::nullopt;
        if (next == end || *next != '.') break;
        at = next + 1;
    }
    return numbers < std::array{0, 19, 1} ? Orientation::Swapped : Orientation::Straight;
}

/// A parameter that a fused pair may adapt.
struct Parameter {
    const char* name;
    std::array<Role, 2> roles;
    size_t count;  ///< matrices side by side in its outputs
    uint64_t outputs, inputs;
};

/// One way in which the shapes of a pair make sense.
struct Fit {
    Parameter parameter;
    Orientation orientation;
};

std::vector<Fit> fitsOf(const AdapterPair& pair, const ModelConfig& config) {
    const uint64_t width = config.expertIntermediate, hidden = config.hidden;
    const Parameter parameters[] = {
        {"gate_up_proj", {Role::ExpertGate, Role::ExpertUp}, 2, 2 * width, hidden},
        {"down_proj", {Role::ExpertDown, Role::ExpertDown}, 1, hidden, width}};
    const std::vector<uint64_t>&a = pair.a->shape, &b = pair.b->shape;
    std::vector<Fit> fits;
    if (a.size() != 2 || b.size() != 2) return fits;
    for (const Parameter& parameter : parameters) {
        if (a[1] == parameter.inputs && b[0] == parameter.outputs)
            fits.push_back({parameter, Orientation::Straight});
        if (a[1] == parameter.outputs && b[0] == parameter.inputs)
            fits.push_back({parameter, Orientation::Swapped});
    }
    return fits;
}

}  // namespace

OrientationProof orientationOf(const AdapterFile& file, std::span<const AdapterPair> pairs,
                               const ModelConfig& config) {
    for (const AdapterPair& pair : pairs) {
        if (!fusedLayer(pair.module)) continue;
        if (const std::vector<Fit> fits = fitsOf(pair, config); fits.size() == 1)
            return {OrientationProof::By::Shapes, fits[0].orientation};
    }
    const std::optional<Orientation> known = orientationOfVersion(file.peftVersion);
    return {known ? OrientationProof::By::Version : OrientationProof::By::Nothing, known};
}

std::optional<uint32_t> fusedLayer(const std::string& module) {
    for (const char* pattern :
         {"model.layers.{layer}.mlp.experts", "model.layers.{layer}.mlp.experts.base_layer"})
        if (const std::optional<NameNumbers> numbers = matchName(pattern, module)) return numbers->layer;
    return std::nullopt;
}

Result<std::vector<FactorPlan>> planFused(const AdapterFile& file, const AdapterPair& pair, uint32_t layer,
                                          std::optional<Orientation> orientation, const ModelConfig& config,
                                          const MatrixTable& table, std::string& scaledAs) {
    const auto mismatch = [&](const std::string& what) {
        return Error{Code::AdapterMismatch, file.path, pair.a->name, {what}};
    };
    if (!table.find(Role::ExpertGate, layer)) return mismatch("the model has no experts in this layer");
    const uint64_t experts = config.experts;
    const std::vector<uint64_t>&a = pair.a->shape, &b = pair.b->shape;
    if (a.size() != 2 || b.size() != 2 || a[0] == 0 || a[0] != b[1] || a[0] % experts != 0)
        return mismatch("shapes " + formats::shapeText(pair.a->shape) + " and " +
                        formats::shapeText(pair.b->shape) + " are not a pair for " + std::to_string(experts) +
                        " experts");
    std::vector<Fit> fits = fitsOf(pair, config);
    if (fits.empty())
        return mismatch("shapes " + formats::shapeText(pair.a->shape) + " and " +
                        formats::shapeText(pair.b->shape) +
                        " fit neither gate_up_proj nor down_proj of this model");
    if (fits.size() > 1 && orientation)
        std::erase_if(fits, [&](const Fit& fit) { return fit.orientation != *orientation; });
    if (fits.size() != 1)
        return Error{Code::UnsupportedOption,
                     file.path,
                     pair.a->name,
                     {"a fused pair whose orientation neither its shape nor peft_version tells",
                      "save it again with PEFT 0.19.1 or later"}};

    const Parameter& parameter = fits[0].parameter;
    const bool straight = fits[0].orientation == Orientation::Straight;
    const uint64_t rank = a[0] / experts, each = parameter.outputs / parameter.count;
    CONCLAVE_TRY_VOID(checkRank(file, *pair.a, rank, each, parameter.inputs, config));
    scaledAs = "model.layers." + std::to_string(layer) + ".mlp.experts." + parameter.name;
    // A [experts * rank][values], expert by expert; B [values][rank * experts], rank by rank.
    const std::array ids{*table.find(parameter.roles[0], layer), *table.find(parameter.roles[1], layer)};
    std::vector<FactorPlan> out;
    for (uint32_t expert = 0; expert < experts; ++expert)
        for (size_t i = 0; i < parameter.count; ++i) {
            FactorPlan plan;
            plan.id = ids[i];
            plan.part = expert;
            plan.rank = static_cast<uint32_t>(rank);
            plan.inputs = static_cast<uint32_t>(parameter.inputs);
            plan.outputs = static_cast<uint32_t>(each);
            FactorSource overA{true, expert * rank * a[1], a[1], 1}, overB{false, expert, experts, b[1]};
            FactorSource& outputs = straight ? overB : overA;
            outputs.begin += i * each * outputs.valueStride;
            plan.a = straight ? overA : overB;
            plan.b = outputs;
            out.push_back(std::move(plan));
        }
    return out;
}

}  // namespace conclave::engine::model
