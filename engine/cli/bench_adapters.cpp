#include "engine/cli/bench_adapters.h"

#include <cstdio>
#include <memory>

#include "engine/cli/offline_door.h"
#include "engine/cli/terminal.h"
#include "engine/offline/bench_adapters.h"

namespace conclave::engine::cli {
namespace {

struct Options {
    std::string model = "synth:deepseek-v2-lite";
    OfflineFlags flags;
    offline::AdapterBenchOptions request;
    bool json = false;
};

void print(const offline::AdapterBenchReport& report) {
    std::printf("model            %s\n", report.model.c_str());
    std::printf("kernels          %s, %zu threads\n", report.kernels.c_str(), report.threads);
    std::printf("one token        %.1f ms without an adapter; adapters of rank %u\n", report.decodeMs,
                report.rank);
    for (const offline::AdapterBenchRow& row : report.rows) {
        if (row.samples == 0) {
            std::printf("%-16s %s\n", row.name.c_str(), row.note.c_str());
            continue;
        }
        std::printf("%-16s %7.2f %-6s  %s %g: %s%s\n", row.name.c_str(), row.value, row.unit.c_str(),
                    row.moreIsBetter ? "at least" : "at most", row.bar, row.met() ? "met" : "missed",
                    row.note.empty() ? "" : (" (" + row.note + ")").c_str());
    }
}

int bench(const Options& options) {
    offline::AdapterBenchOptions request = options.request;
    const auto run = resolve(options.model, options.flags);
    if (!run.ok()) return fail(run.error());
    request.model = run->path;
    request.load = run->load;
    request.threads = run->configured.threads;
    ProgressBar bar;
    request.progress = bar.callback();
    const auto report = offline::benchAdapters(request);
    bar.clear();
    return finish(report, options.json, [](const auto& r) { print(r); });
}

}  // namespace

Run declareBenchAdapters(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_option("model", options->model,
                   "A model's name, a folder or a GGUF file (synth:deepseek-v2-lite)");
    app.add_option("--rank", options->request.rank, "Of the adapters (16)");
    app.add_option("--samples", options->request.samples,
                   "Runs of each figure, of which the median counts (20)");
    addKeyFlags(app, {"threads", "kernels"}, options->flags.keys);
    app.add_flag("--json", options->json, "Print JSON");
    return [options] { return bench(*options); };
}

}  // namespace conclave::engine::cli
