#include "engine/cli/bench_adapters.h"

#include <cstdio>
#include <map>
#include <memory>

#include "engine/cli/engine_door.h"
#include "engine/cli/terminal.h"
#include "engine/offline/bench_adapters.h"
#include "engine/offline/installed.h"
#include "engine/offline/numerics.h"
#include "engine/policy/options.h"

namespace conclave::engine::cli {
namespace {

struct Options {
    std::string model = "synth:deepseek-v2-lite";
    std::map<std::string, std::string> flags;  ///< threads, kernels
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
    const auto path = offline::modelPath(options.model);
    if (!path.ok()) return fail(path.error());
    const auto configured = userOptions(options.flags);
    if (!configured.ok()) return fail(configured.error());
    const auto numerics = offline::numericsOptions(configured->kernels, "auto", "f16");
    if (!numerics.ok()) return fail(numerics.error());
    request.model = *path;
    request.load = *numerics;
    request.threads = configured->threads;
    ProgressBar bar;
    request.progress = [&bar](const std::string& stage, uint64_t done, uint64_t total) {
        bar.show(stage, done, total);
    };
    const auto report = offline::benchAdapters(request);
    bar.clear();
    if (!report.ok()) return fail(report.error());
    if (options.json)
        std::puts(offline::toJson(*report).dump(2).c_str());
    else
        print(*report);
    return 0;
}

}  // namespace

Run declareBenchAdapters(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_option("model", options->model,
                   "A model's name, a folder or a GGUF file (synth:deepseek-v2-lite)");
    app.add_option("--rank", options->request.rank, "Of the adapters (16)");
    app.add_option("--samples", options->request.samples,
                   "Runs of each figure, of which the median counts (20)");
    for (const char* name : {"threads", "kernels"})
        for (const policy::Key& key : policy::keys())
            if (key.name == name)
                app.add_option("--" + std::string(key.name), options->flags[std::string(key.name)],
                               std::string(key.help))
                    ->type_name(std::string(key.value));
    app.add_flag("--json", options->json, "Print JSON");
    return [options] { return bench(*options); };
}

}  // namespace conclave::engine::cli
