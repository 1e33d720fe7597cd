#include "engine/offline/adapter_to_peft.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "engine/formats/safetensors_writer.h"
#include "engine/library/names.h"
#include "engine/offline/adapter_pairs.h"
#include "engine/offline/encoding.h"
#include "engine/offline/new_folder.h"
#include "engine/offline/peft_config.h"

namespace conclave::engine::offline {
namespace {

using base::Code;
using base::Error;
using base::Result;
using formats::SafetensorsWriteTensor;
using model::Role;
using quant::Format;

constexpr const char* kPrefix = "base_model.model.";

/// "model.layers.0.mlp.experts.3.gate_proj".
std::string moduleOf(std::span<const model::NameRow> names, Role role, uint32_t layer, uint32_t expert) {
    constexpr std::string_view kWeight = ".weight";
    for (const model::NameRow& row : names)
        if (row.role == role && row.huggingFace.ends_with(kWeight))
            return model::fillName(row.huggingFace.substr(0, row.huggingFace.size() - kWeight.size()), layer,
                                   expert);
    CONCLAVE_CHECK(false && "every matrix has a name in Hugging Face's models");
    return {};
}

/// A pair's values, without the ranks that are zero in both factors.
struct Values {
    std::vector<float> a, b;
    uint32_t rank = 0;
};

Values trimmed(const AdapterFactors& factors) {
    Values out{factors.a(), factors.b(), factors.rank};
    const auto isZero = [&](uint32_t k) {
        const auto row = out.a.begin() + static_cast<ptrdiff_t>(size_t{k} * factors.inputs);
        if (std::any_of(row, row + factors.inputs, [](float value) { return value != 0; })) return false;
        for (size_t o = 0; o < factors.outputs; ++o)
            if (out.b[o * factors.rank + k] != 0) return false;
        return true;
    };
    while (out.rank > 0 && isZero(out.rank - 1))
        --out.rank;
    if (out.rank == factors.rank) return out;
    out.a.resize(size_t{out.rank} * factors.inputs);
    std::vector<float> b(size_t{factors.outputs} * out.rank);
    for (size_t o = 0; o < factors.outputs; ++o)
        std::copy_n(out.b.begin() + static_cast<ptrdiff_t>(o * factors.rank), out.rank,
                    b.begin() + static_cast<ptrdiff_t>(o * out.rank));
    out.b = std::move(b);
    return out;
}

/// A module that is written.
struct Module {
    AdapterFactors factors;
    std::string name;
    uint32_t rank = 0;
    Format format = Format::F32;
};

/// Bytes of one factor, rounded to the module's format.
Result<std::vector<std::byte>> bytesOf(const Module& module, bool isA, const std::string& file) {
    const Values values = trimmed(module.factors);
    return encoded(isA ? values.a : values.b, module.format, file,
                   module.name + (isA ? ".lora_A" : ".lora_B"));
}

uint32_t roundedIn(const Module& module) {
    if (module.format == Format::F32 || module.format == module.factors.format) return 0;
    return uint32_t{!holds(module.format, module.factors.a())} + !holds(module.format, module.factors.b());
}

std::vector<Module> modulesOf(std::vector<AdapterFactors> all, const AdapterBase& base,
                              std::optional<Format> format) {
    std::vector<Module> out;
    for (AdapterFactors& factors : all) {
        Module module;
        module.rank = trimmed(factors).rank;
        if (module.rank == 0) continue;
        module.name = moduleOf(base.outline.matrices.names, factors.role, factors.layer, factors.part);
        module.format = format.value_or(factors.format);
        module.factors = std::move(factors);
        out.push_back(std::move(module));
    }
    return out;
}

/// Every module of the base that a pair could be for.
std::set<std::string> modulesOf(const AdapterBase& base) {
    std::set<std::string> out;
    for (const model::MatrixInfo& info : base.outline.matrices.matrices) {
        if (info.rows < 2 || info.role == Role::Embedding) continue;
        const bool half = info.role == Role::LatentKey || info.role == Role::LatentValue;
        for (uint32_t part = 0; part < (half ? 1 : info.matrices); ++part)
            out.insert(
                moduleOf(base.outline.matrices.names, half ? Role::LatentB : info.role, info.layer, part));
    }
    return out;
}

Result<void> writeWeights(const std::string& path, const std::vector<Module>& modules,
                          const std::string& source, ConvertReport& report) {
    std::vector<SafetensorsWriteTensor> tensors;
    for (const Module& module : modules) {
        const Module* what = &module;
        const AdapterFactors& f = module.factors;
        for (const bool isA : {true, false}) {
            const std::vector<uint64_t> shape = isA ? std::vector<uint64_t>{module.rank, f.inputs}
                                                    : std::vector<uint64_t>{f.outputs, module.rank};
            report.bytes += shape[0] * shape[1] * quant::info(module.format).blockBytes;
            tensors.push_back({kPrefix + module.name + (isA ? ".lora_A.weight" : ".lora_B.weight"),
                               module.format, shape,
                               [what, isA, &source] { return bytesOf(*what, isA, source); }});
        }
        report.rounded += roundedIn(module);
    }
    return formats::writeSafetensors(path, tensors);
}

}  // namespace

Result<ConvertReport> adapterToPeft(const model::Adapter& adapter, const AdapterBase& base,
                                    const ConvertOptions& options) {
    CONCLAVE_TRY(NewFolder folder, NewFolder::create(options.destination));
    CONCLAVE_TRY(std::vector<AdapterFactors> factors,
                 factorsOf(adapter, base, {.rowsInPairs = false, .wholeKvB = true}, options.source));
    const std::vector<Module> modules = modulesOf(std::move(factors), base, options.format);
    if (modules.empty())
        return Error{
            Code::UnsupportedOption, options.source, "its factors", {"nothing but zeros", "it adds nothing"}};

    ConvertReport report;
    report.form = "PEFT";
    report.pairs = static_cast<uint32_t>(modules.size());
    PeftConfig config{.base = library::nameFromPath(base.path),
                      .fingerprint = base.fingerprint,
                      .modulesOfBase = modulesOf(base)};
    for (const base::TokenId token : adapter.invocation)
        config.invocationTokens.push_back(toInt(token));
    for (const Module& module : modules)
        config.modules.push_back(
            {module.name, module.rank, static_cast<double>(module.factors.scale) * module.rank});
    const nlohmann::ordered_json json = peftConfig(config);
    report.alpha = json["lora_alpha"].get<double>();
    CONCLAVE_TRY_VOID(
        writeWeights(folder.path() + "/adapter_model.safetensors", modules, options.source, report));
    CONCLAVE_TRY_VOID(folder.writeText("adapter_config.json", json.dump(2) + "\n"));
    CONCLAVE_TRY_VOID(folder.commit());
    return report;
}

}  // namespace conclave::engine::offline
