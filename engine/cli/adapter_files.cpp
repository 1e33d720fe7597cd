#include "engine/cli/adapter_files.h"

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/cli/adapter_door.h"
#include "engine/cli/engine_door.h"
#include "engine/cli/import_report.h"
#include "engine/cli/terminal.h"
#include "engine/offline/adapter_convert.h"
#include "engine/offline/adapter_info.h"
#include "engine/offline/installed_adapter.h"
#include "engine/offline/merge.h"

namespace conclave::engine::cli {
namespace {

struct Options {
    std::string adapter, model, destination, format;
    std::vector<std::string> wishes;
    bool json = false;
};

base::Result<std::string> modelOf(const Options& options) {
    return options.model.empty() ? base::Result<std::string>(std::string()) : modelPath(options.model);
}

std::string joined(const std::vector<std::string>& words) {
    std::string out;
    for (const std::string& word : words)
        out += (out.empty() ? "" : ", ") + word;
    return out;
}

std::string shown(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%g", value);
    return text;
}

void line(const char* name, const std::string& value) {
    if (!value.empty()) std::printf("%-12s  %s\n", name, value.c_str());
}

// --- info ---

std::string strengthOf(const offline::AdapterInfo& info) {
    if (info.form == "GGUF" && info.alpha == 0) return "1 (no alpha)";
    std::string out = "alpha " + shown(info.alpha);
    std::vector<std::string> others;
    for (const double alpha : info.alphas)
        others.push_back(shown(alpha));
    if (!others.empty()) out += " (patterns: " + joined(others) + ")";
    return out +
           (info.rankStabilised ? ", divided by the root of the rank (rsLoRA)" : ", divided by the rank");
}

void printLayers(const offline::AdapterInfo& info) {
    for (const model::AdapterCounts::Layer& layer : info.counts.layers)
        line(("layer " + std::to_string(layer.layer)).c_str(),
             std::to_string(layer.matrices) + " matrices" +
                 (layer.experts > 0 ? ", " + std::to_string(layer.experts) + " of them of routed experts"
                                    : std::string()));
}

void print(const offline::AdapterInfo& info) {
    std::vector<std::string> ranks, targets, formats, tokens;
    for (const uint32_t rank : info.ranks)
        ranks.push_back(std::to_string(rank));
    for (const auto& [name, pairs] : info.targets)
        targets.push_back(name + " " + std::to_string(pairs));
    for (const auto& [name, bytes] : info.formats)
        formats.push_back(name + " " + readableBytes(bytes));
    for (const int32_t token : info.invocationTokens)
        tokens.push_back(std::to_string(token));
    line("adapter", info.path);
    line("form", info.form);
    line("base", info.base.empty() ? "not named" : info.base);
    line("PEFT", info.peftVersion);
    line("rank", joined(ranks));
    line("strength", strengthOf(info));
    line("targets", joined(targets));
    line("pairs", std::to_string(info.pairs));
    line("bytes", readableBytes(info.bytes) + " (" + joined(formats) + ")");
    line("invocation", tokens.empty() ? "" : "tokens " + joined(tokens));
    if (info.model.empty()) return;
    line("model", info.model);
    line("attached", std::to_string(info.counts.pairs) + " of " + std::to_string(info.pairs) + " pairs, to " +
                         std::to_string(info.counts.matrices) + " matrices, " +
                         readableBytes(info.loadedBytes) + " in memory");
    if (!info.orientation.empty()) line("fused", info.orientation + ", decided by " + info.orientationBy);
    printLayers(info);
    for (const std::string& warning : info.warnings)
        line("warning", warning);
}

int info(const Options& options) {
    const auto model = modelOf(options);
    if (!model.ok()) return fail(model.error());
    const auto path = offline::adapterPath(options.adapter, *model);
    if (!path.ok()) return fail(path.error());
    const auto found = offline::adapterInfo(*path, *model);
    return finish(found, options.json, [](const auto& r) { print(r); });
}

// --- merge ---

void print(const offline::MergeReport& report) {
    for (const offline::MergeReport::Merged& merged : report.adapters)
        std::printf("%s: %u pairs into %u matrices, scale %g\n", merged.path.c_str(), merged.counts.pairs,
                    merged.counts.matrices, static_cast<double>(merged.strength));
    printImport(report.written);
}

int merge(const Options& options) {
    const auto model = modelOf(options);
    if (!model.ok()) return fail(model.error());
    const auto format = importFormatOf(options.format);
    if (!format.ok()) return fail(format.error());
    offline::MergeOptions request{
        .model = *model, .adapters = {}, .destination = options.destination, .quant = *format};
    for (const std::string& wish : options.wishes) {
        const protocol::LoraUse use = adapterWish(wish);
        const auto path = offline::adapterPath(use.name, *model);
        if (!path.ok()) return fail(path.error());
        request.adapters.push_back({*path, static_cast<float>(use.scale)});
    }
    ProgressBar bar;
    const auto report = offline::mergeAdapters(
        request, [&bar](uint64_t done, uint64_t total) { bar.show("merge", done, total); });
    bar.clear();
    return finish(report, options.json, [](const auto& r) { print(r); });
}

// --- convert ---

void print(const offline::ConvertReport& report) {
    std::printf("%s: %s for %s, %u pairs for %u matrices, alpha %g, %s\n", report.destination.c_str(),
                report.form.c_str(), report.architecture.c_str(), report.pairs, report.matrices, report.alpha,
                readableBytes(report.bytes).c_str());
    if (report.rounded > 0)
        std::printf("rounded, the format asked for does not have all values: %u factors\n", report.rounded);
    for (const std::string& note : report.notes)
        std::printf("note: %s\n", note.c_str());
}

int convert(const Options& options) {
    const auto model = modelOf(options);
    if (!model.ok()) return fail(model.error());
    const auto path = offline::adapterPath(options.adapter, *model);
    if (!path.ok()) return fail(path.error());
    offline::ConvertOptions request{
        .source = *path, .destination = options.destination, .model = *model, .format = {}};
    if (!options.format.empty()) {
        request.format = quant::fromName(options.format);
        if (!request.format)
            return fail({base::Code::OutOfRange, "", "--dtype", {options.format, "one of f32, f16, bf16"}});
    }
    const auto report = offline::convertAdapter(request);
    return finish(report, options.json, [](const auto& r) { print(r); });
}

}  // namespace

AdapterCommand declareAdapterInfo(CLI::App& adapters) {
    const auto options = std::make_shared<Options>();
    CLI::App* app = adapters.add_subcommand("info", "Describe an adapter's files; needs no engine");
    app->footer("Example:\n  conclave adapters info legal --model starter");
    app->add_option("adapter", options->adapter,
                    "PEFT's folder, a GGUF file, or the name of an installed one")
        ->required();
    app->add_option("--model", options->model,
                    "The model it was made for: also show where in it every pair goes");
    app->add_flag("--json", options->json, "Print JSON");
    return {app, [options] { return info(*options); }};
}

AdapterCommand declareAdapterMerge(CLI::App& adapters) {
    const auto options = std::make_shared<Options>();
    CLI::App* app = adapters.add_subcommand(
        "merge", "Write a model with adapters in its weights as one GGUF file; needs no engine");
    app->footer("Example:\n  conclave adapters merge starter legal.gguf --adapter legal:0.5 --quant bf16");
    app->add_option("model", options->model, "The base: a name, a Hugging Face folder or a GGUF file")
        ->required();
    app->add_option("destination", options->destination, "The GGUF file to make")->required();
    app->add_option("--adapter", options->wishes,
                    "NAME[:SCALE] of an adapter of the model, or its path; may be given again")
        ->required()
        ->allow_extra_args(false);
    app->add_option("--quant", options->format, "Format of the matrices: q8_0, q4_0, bf16, f16 or f32")
        ->required();
    app->add_flag("--json", options->json, "Print JSON");
    return {app, [options] { return merge(*options); }};
}

AdapterCommand declareAdapterConvert(CLI::App& adapters) {
    const auto options = std::make_shared<Options>();
    CLI::App* app = adapters.add_subcommand(
        "convert", "Turn PEFT's folder into a GGUF file, or a GGUF file into PEFT's folder; needs no engine");
    app->footer("Example:\n  conclave adapters convert ./my-adapter my-adapter.gguf --model starter");
    app->add_option("adapter", options->adapter,
                    "PEFT's folder, a GGUF file, or the name of an installed one")
        ->required();
    app->add_option("destination", options->destination, "The file or the folder to make")->required();
    app->add_option("--model", options->model, "The model it was made for: a name or a path");
    app->add_option("--dtype", options->format,
                    "Format of the factors: f32, f16 or bf16; as they are without it");
    app->add_flag("--json", options->json, "Print JSON");
    return {app, [options] { return convert(*options); }};
}

}  // namespace conclave::engine::cli
