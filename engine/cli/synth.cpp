#include "engine/offline/synth.h"

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "engine/cli/command.h"
#include "engine/cli/terminal.h"

namespace conclave::engine::cli {
namespace {

struct Options {
    offline::SynthOptions request;
    bool json = false;
};

void print(const offline::SynthReport& report) {
    std::string formats;
    for (const auto& [name, bytes] : report.formats)
        formats += (formats.empty() ? "" : ", ") + name + " " + readableBytes(bytes);
    std::printf("%s: %s, %llu tensors, %.2f B parameters, %s (%s)\n", report.destination.c_str(),
                report.model.c_str(), static_cast<unsigned long long>(report.tensors),
                static_cast<double>(report.parameters) / 1e9, readableBytes(report.bytes).c_str(),
                formats.c_str());
}

void printJson(const offline::SynthReport& report) {
    nlohmann::ordered_json formats = nlohmann::ordered_json::object();
    for (const auto& [name, bytes] : report.formats)
        formats[name] = bytes;
    const nlohmann::ordered_json out{{"path", report.destination}, {"model", report.model},
                                     {"tensors", report.tensors},  {"parameters", report.parameters},
                                     {"bytes", report.bytes},      {"formats", formats}};
    std::puts(out.dump(2).c_str());
}

int write(const Options& options) {
    ProgressBar bar;
    const auto report = offline::writeSynth(
        options.request, [&bar](uint64_t done, uint64_t total) { bar.show("synth", done, total); });
    bar.clear();
    if (!report.ok()) return fail(report.error());
    if (options.json)
        printJson(*report);
    else
        print(*report);
    return 0;
}

}  // namespace

Run declareSynth(CLI::App& app) {
    auto options = std::make_shared<Options>();
    auto& wish = options->request.wish;
    app.add_option("shape", wish.shape, "Whose measurements: " + offline::synthShapes())->required();
    app.add_option("destination", options->request.destination, "The GGUF file to make")->required();
    app.add_option("--quant", wish.quant,
                   "Format of the matrices: " + offline::synthQuants() +
                       "; q4_k_m without it, f16 for an adapter");
    app.add_option("--adapter", options->request.adapter,
                   "Instead of the model a LoRA adapter for it: its rank and what it adapts, of " +
                       offline::synthTargets())
        ->type_name("RANK:TARGETS");
    app.add_option("--layers", wish.layers, "Only so many of the shape's layers");
    app.add_option("--seed", wish.seed, "Other weights; the same seed gives the same file");
    app.add_flag("--json", options->json, "Print JSON");
    return [options] { return write(*options); };
}

}  // namespace conclave::engine::cli
