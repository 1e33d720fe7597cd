#include <cstdio>
#include <memory>

#include "engine/cli/bench_adapters.h"
#include "engine/cli/command.h"
#include "engine/cli/offline_door.h"
#include "engine/cli/terminal.h"
#include "engine/offline/bench.h"

namespace conclave::engine::cli {
namespace {

struct Options {
    std::string model;
    OfflineFlags flags;
    uint32_t samples = 5;
    std::vector<std::string> rows;
    bool json = false;
};

void printTimes(const model::StepTimes& times) {
    const auto percent = [&](uint64_t part) {
        return 100 * static_cast<double>(part) / static_cast<double>(times.all);
    };
    std::printf("              attention %.0f %%, router %.0f %%, feed-forward %.0f %%, head %.0f %%; "
                "of all, waiting %.0f %%",
                percent(times.attention), percent(times.router), percent(times.feedForward),
                percent(times.head), percent(times.waiting));
    if (times.counting > 0) std::printf(", counting experts %.3f %%", percent(times.counting));
    std::puts("");
}

void print(const offline::BenchReport& report) {
    std::printf("model         %s\n", report.model.c_str());
    std::printf("kernels       %s, %zu threads\n", report.kernels.c_str(), report.threads);
    std::printf("limits        read %.1f GB/s, int8 %.0f GOP/s, bf16 %.0f GOP/s, float32 %.0f GFLOP/s\n",
                report.limits.readGbS, report.limits.int8GopS, report.limits.bf16GopS,
                report.limits.f32GflopS);
    for (const offline::BenchRow& row : report.rows) {
        if (row.samples == 0) {
            std::printf("%-13s %s\n", row.name.c_str(), row.note.c_str());
            continue;
        }
        if (row.unit == "bytes")
            std::printf("%-13s %.0f MB for %.0f MB of weights\n", row.name.c_str(), row.value * 1e-6,
                        static_cast<double>(row.bytes) * 1e-6);
        else if (row.unit == "s")
            std::printf("%-13s %.2f s, %.2f GB/s, %.1f %% of the limit\n", row.name.c_str(), row.value,
                        static_cast<double>(row.bytes) * 1e-9 / row.value, 100 * row.share);
        else
            std::printf("%-13s %8.2f tokens/s, %.1f %% of the limit (%.2f)\n", row.name.c_str(), row.value,
                        100 * row.share, row.limit);
        if (row.times.all > 0) printTimes(row.times);
    }
}

int bench(const Options& options) {
    if (options.model.empty())
        return fail({base::Code::BadArgument, "", "model", {"none is named; write conclave bench MODEL"}});
    offline::BenchOptions request;
    const auto run = resolve(options.model, options.flags);
    if (!run.ok()) return fail(run.error());
    request.model = run->path;
    request.load = run->load;
    request.threads = run->configured.threads;
    request.samples = options.samples;
    request.rows = options.rows;
    ProgressBar bar;
    request.progress = bar.callback();
    const auto report = offline::bench(request);
    bar.clear();
    return finish(report, options.json, [](const auto& r) { print(r); });
}

}  // namespace

Run declareBench(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_option("model", options->model, "A model's name, a folder or a GGUF file");
    app.add_option("--rows", options->rows, "Only these figures, such as prefill_512,decode_0")
        ->delimiter(',');
    app.add_option("--samples", options->samples, "Runs of each figure, of which the median counts (5)");
    app.add_option("--activations", options->flags.activations,
                   "auto, exact (float32), bf16, int8 or int8x2");
    app.add_option("--kv", options->flags.kv, "Type of stored keys and values: f16 or f32");
    addKeyFlags(app, {"threads", "kernels"}, options->flags.keys);
    app.add_flag("--json", options->json, "Print JSON");
    CLI::App* adapters = app.add_subcommand("adapters", "What LoRA adapters cost, beside what they may");
    const Run runAdapters = declareBenchAdapters(*adapters);
    return [options, adapters, runAdapters] { return adapters->parsed() ? runAdapters() : bench(*options); };
}

}  // namespace conclave::engine::cli
