#include <cstdio>
#include <memory>

#include "engine/cli/command.h"
#include "engine/cli/import_report.h"
#include "engine/cli/terminal.h"
#include "engine/offline/import.h"

namespace conclave::engine::cli {
namespace {

struct Options {
    std::string source, destination;
    std::string quant;
    bool json = false;
};

int import(const Options& options) {
    offline::ImportOptions request{.source = options.source, .destination = options.destination, .quant = {}};
    if (!options.quant.empty()) {
        const auto format = importFormatOf(options.quant);
        if (!format.ok()) return fail(format.error());
        request.quant = *format;
    }
    ProgressBar bar;
    const auto report = offline::importModel(
        request, [&bar](uint64_t done, uint64_t total) { bar.show("import", done, total); });
    bar.clear();
    return finish(report, options.json, printImport);
}

}  // namespace

Run declareImport(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_option("source", options->source, "A Hugging Face model folder")->required();
    app.add_option("destination", options->destination, "The GGUF file to make")->required();
    app.add_option("--quant", options->quant,
                   "Format of the matrices: q8_0, q4_0, bf16, f16 or f32; as they are without it");
    app.add_flag("--json", options->json, "Print JSON");
    return [options] { return import(*options); };
}

}  // namespace conclave::engine::cli
