#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "engine/cli/command.h"
#include "engine/cli/terminal.h"
#include "engine/offline/import.h"

namespace conclave::engine::cli {
namespace {

struct Options {
    std::string source, destination;
    std::string quant;
    bool json = false;
};

void print(const offline::ImportReport& report) {
    std::string formats;
    for (const auto& [name, bytes] : report.formats)
        formats += (formats.empty() ? "" : ", ") + name + " " + readableBytes(bytes);
    std::printf("%s: %s, %llu tensors, %s (%s)\n", report.destination.c_str(), report.architecture.c_str(),
                static_cast<unsigned long long>(report.tensors), readableBytes(report.bytes).c_str(),
                formats.c_str());
    for (const std::string& name : report.fallbacks)
        std::printf("F16 because the block format does not divide its rows: %s\n", name.c_str());
    for (const std::string& name : report.skipped)
        std::printf("left out, answering does not need it: %s\n", name.c_str());
    for (const std::string& warning : report.warnings)
        std::printf("warning: %s\n", warning.c_str());
}

void printJson(const offline::ImportReport& report) {
    nlohmann::ordered_json formats = nlohmann::ordered_json::object();
    for (const auto& [name, bytes] : report.formats)
        formats[name] = bytes;
    const nlohmann::ordered_json out{{"path", report.destination}, {"architecture", report.architecture},
                                     {"tensors", report.tensors},  {"bytes", report.bytes},
                                     {"formats", formats},         {"fallbacks", report.fallbacks},
                                     {"skipped", report.skipped},  {"warnings", report.warnings}};
    std::puts(out.dump(2).c_str());
}

int import(const Options& options) {
    offline::ImportOptions request{.source = options.source, .destination = options.destination, .quant = {}};
    if (!options.quant.empty()) {
        request.quant = quant::fromName(options.quant);
        std::string known;
        bool listed = false;
        for (const std::string& name : offline::importFormats()) {
            known += (known.empty() ? "" : ", ") + name;
            listed = listed || quant::fromName(name) == request.quant;
        }
        if (!request.quant || !listed)
            return fail({base::Code::OutOfRange, "", "--quant", {options.quant, "one of " + known}});
    }
    ProgressBar bar;
    const auto report = offline::importModel(
        request, [&bar](uint64_t done, uint64_t total) { bar.show("import", done, total); });
    bar.clear();
    if (!report.ok()) return fail(report.error());
    if (options.json)
        printJson(*report);
    else
        print(*report);
    return 0;
}

}  // namespace

Run declareImport(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_option("source", options->source, "A Hugging Face model folder")->required();
    app.add_option("destination", options->destination, "The GGUF file to make")->required();
    app.add_option("--quant", options->quant,
                   "Format of the matrices: q8_0, q4_0, bf16 or f16; as they are without it");
    app.add_flag("--json", options->json, "Print JSON");
    return [options] { return import(*options); };
}

}  // namespace conclave::engine::cli
