#include "engine/synth/adapter.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <utility>

#include "engine/model/gguf_keys.h"
#include "engine/model/outline.h"
#include "engine/synth/synth.h"

namespace conclave::engine::synth {
namespace {

using base::Code;
using base::Error;
using base::Result;
using formats::GgufScalar;
using model::Role;

constexpr float kShare = 0.1f;  // of an adapted output that the adapter adds

constexpr TargetName kTargets[] = {{Target::Attention, "attention"},
                                   {Target::Experts, "experts"},
                                   {Target::Shared, "shared"},
                                   {Target::Dense, "dense"},
                                   {Target::Router, "router"}};

std::optional<Target> targetOf(Role role) {
    switch (role) {
    case Role::Query:
    case Role::Key:
    case Role::Value:
    case Role::Output:
    case Role::QueryA:
    case Role::QueryB:
    case Role::LatentA:
    case Role::LatentKey:  // stands for the whole of kv_b; LatentValue is its other half
        return Target::Attention;
    case Role::ExpertGate:
    case Role::ExpertUp:
    case Role::ExpertDown:
        return Target::Experts;
    case Role::SharedGate:
    case Role::SharedUp:
    case Role::SharedDown:
        return Target::Shared;
    case Role::Gate:
    case Role::Up:
    case Role::Down:
        return Target::Dense;
    case Role::Router:
        return Target::Router;
    default:
        return std::nullopt;
    }
}

Result<Target> readTarget(const std::string& name) {
    std::string known;
    for (const TargetName& row : kTargets) {
        if (row.name == name) return row.target;
        known += (known.empty() ? "" : ", ") + std::string(row.name);
    }
    return Error{Code::OutOfRange, "", "target", {name.empty() ? "\"\"" : name, "one of " + known}};
}

std::string_view nameOf(Target target) {
    return kTargets[static_cast<size_t>(target)].name;
}

/// A pair, or a stack of pairs, for matrices [rows][cols].
void addPair(const AdapterSpec& spec, const std::string& name, uint64_t matrices, uint64_t rows,
             uint64_t cols, SynthFile& out) {
    const auto shape = [&](uint64_t outer, uint64_t inner) {
        std::vector<uint64_t> extents{outer, inner};
        if (matrices > 1) extents.insert(extents.begin(), matrices);
        return extents;
    };
    const auto deviation = [](uint64_t values) {
        return static_cast<float>(1 / std::sqrt(static_cast<double>(values)));
    };
    out.add(name + ".lora_a", spec.format, shape(spec.rank, cols), {0, deviation(cols)}, spec.seed);
    out.add(name + ".lora_b", spec.format, shape(rows, spec.rank), {0, kShare * deviation(spec.rank)},
            spec.seed);
}

void addMatrix(const AdapterSpec& spec, const model::ModelConfig& c, const model::MatrixTable& table,
               const model::MatrixInfo& matrix, SynthFile& out) {
    const bool latent = matrix.role == Role::LatentKey;
    const Role role = latent ? Role::LatentB : matrix.role;
    const std::string name = model::ggufName(table.names, role, matrix.layer);
    CONCLAVE_CHECK(!name.empty() && "every matrix that can be adapted has a name in GGUF");
    if (latent)
        addPair(spec, name, 1, uint64_t{c.heads} * (c.nopeDim + c.valueDim), c.latentRank, out);
    else
        addPair(spec, name, matrix.matrices, matrix.rows, matrix.cols, out);
}

}  // namespace

std::span<const TargetName> targets() {
    return kTargets;
}

Result<AdapterSpec> readAdapterSpec(std::string_view text) {
    const auto malformed = [&](const char* what) {
        return Error{Code::BadArgument, "", "adapter", {"\"" + std::string(text) + "\" " + what}};
    };
    AdapterSpec spec;
    const size_t colon = text.find(':');
    if (colon == std::string_view::npos) return malformed("has no targets; write RANK:TARGETS");
    const auto [at, failed] = std::from_chars(text.data(), text.data() + colon, spec.rank);
    if (failed != std::errc() || at != text.data() + colon || spec.rank == 0)
        return malformed("has no rank of 1 or more; write RANK:TARGETS");
    for (std::string_view rest = text.substr(colon + 1);;) {
        const size_t comma = rest.find(',');
        CONCLAVE_TRY(const Target target, readTarget(std::string(rest.substr(0, comma))));
        if (std::ranges::find(spec.targets, target) != spec.targets.end())
            return malformed("names a target twice");
        spec.targets.push_back(target);
        if (comma == std::string_view::npos) break;
        rest.remove_prefix(comma + 1);
    }
    std::ranges::sort(spec.targets);
    return spec;
}

std::string toText(const AdapterSpec& spec) {
    std::string out = std::to_string(spec.rank);
    for (const Target target : spec.targets)
        out += (out.find(':') == std::string::npos ? ":" : ",") + std::string(nameOf(target));
    return out;
}

Result<SynthFile> makeAdapter(const AdapterSpec& spec, const model::ModelConfig& config,
                              const model::MatrixTable& matrices) {
    if (spec.rank > config.hidden)
        return Error{Code::OutOfRange,
                     "",
                     "rank",
                     {std::to_string(spec.rank),
                      "1 to " + std::to_string(config.hidden) + ", the model's hidden size"}};
    const bool gguf = matrices.naming == model::Naming::Gguf;
    SynthFile out;
    out.metadata = {{"general.architecture",
                     GgufScalar(gguf ? config.sourceArchitecture : model::ggufArchitecture(config))},
                    {"general.type", GgufScalar(std::string("adapter"))},
                    {"adapter.type", GgufScalar(std::string("lora"))},
                    {"adapter.lora.alpha", GgufScalar(static_cast<float>(spec.rank))}};
    for (const Target target : spec.targets) {
        const size_t before = out.tensors.size();
        for (const model::MatrixInfo& matrix : matrices.matrices)
            if (targetOf(matrix.role) == target) addMatrix(spec, config, matrices, matrix, out);
        if (out.tensors.size() == before)
            return Error{Code::OutOfRange,
                         "",
                         "target",
                         {std::string(nameOf(target)), "something that the model has"}};
    }
    return out;
}

Result<SynthFile> makeAdapter(const AdapterSpec& spec, const Spec& model) {
    CONCLAVE_TRY(const formats::GgufFile file, openGguf(toText(model)));
    CONCLAVE_TRY(const model::Outline outline, model::outlineOf(file));
    return makeAdapter(spec, outline.config, outline.matrices);
}

}  // namespace conclave::engine::synth
