#include <cmath>
#include <cstdio>
#include <memory>

#include "engine/cli/command.h"
#include "engine/cli/offline_door.h"
#include "engine/cli/terminal.h"
#include "engine/offline/router_sweep.h"

namespace conclave::engine::cli {
namespace {

struct Options {
    offline::SweepOptions sweep;
    OfflineFlags flags;
    bool json = false;
};

void print(const offline::SweepReplicas& replicas, uint32_t experts) {
    std::printf("\nreplicas      %u devices, %u experts in %u copies, at most %u a device and layer\n",
                replicas.plan.devices, experts, replicas.plan.copies, replicas.plan.slots);
    std::puts("busiest device over the mean (later: second half of the text, planned from the first)");
    std::puts("layer  neighbours  planned  later");
    for (size_t l = 0; l < replicas.plan.layers.size(); ++l) {
        const parallel::LayerPlacement& layer = replicas.plan.layers[l];
        std::printf("%5u  %10.2f  %7.2f", replicas.numbers[l], layer.unplanned, layer.planned);
        if (l < replicas.later.size()) std::printf("  %5.2f", replicas.later[l]);
        std::puts("");
    }
}

void print(const offline::SweepReport& report) {
    std::printf("model         %s: %u experts, %u work on a token\n", report.model.c_str(), report.experts,
                report.chosen);
    std::printf("kernels       %s, %zu threads\n", report.kernels.c_str(), report.threads);
    std::printf("text          %llu tokens, in steps of %u\n\n",
                static_cast<unsigned long long>(report.positions), report.stepRows);
    std::puts("router            tokens/s  speed  experts/token   mean KL  same best  busiest expert");
    for (const offline::SweepRow& row : report.rows)
        std::printf("%-16s  %8.2f  %4.2fx  %13.2f  %8.3g  %7.2f %%  %13.2fx\n", row.name.c_str(),
                    row.tokensPerSecond, row.speed, row.expertsPerToken, row.divergence.meanKl,
                    100 * static_cast<double>(row.divergence.sameBest) /
                        static_cast<double>(report.positions),
                    row.busiest);
    if (report.replicas) print(*report.replicas, report.experts);
}

int router(const Options& options) {
    offline::SweepOptions request = options.sweep;
    const auto run = resolve(request.model, options.flags);
    if (!run.ok()) return fail(run.error());
    request.model = run->path;
    request.load = run->load;
    request.threads = run->configured.threads;
    ProgressBar bar;
    request.progress = bar.callback();
    const auto report = offline::sweepRouter(request);
    bar.clear();
    return finish(report, options.json, [](const auto& r) { print(r); });
}

}  // namespace

Run declareRouter(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_option("model", options->sweep.model, "A model's name, a folder or a GGUF file")->required();
    app.add_option("--text", options->sweep.text, "The text to measure on")->required();
    app.add_option(
        "--sweep", options->sweep.sweeps,
        "An option and its values, each measured alone, as in active=2,4,8; also temperature, floor "
        "and cap; may be given again");
    app.add_option("--tokens", options->sweep.tokens, "Most tokens of the text (2000)");
    app.add_option("--samples", options->sweep.samples,
                   "Timings of each value, of which the median counts (5)");
    app.add_option("--devices", options->sweep.devices,
                   "Also plan where experts and copies of the hottest would live on so many devices");
    app.add_option("--extra", options->sweep.extra,
                   "Most extra copies of that plan, as a share of the experts (0.125)");
    app.add_option("--activations", options->flags.activations,
                   "auto, exact (float32), bf16, int8 or int8x2");
    app.add_option("--kv", options->flags.kv, "Type of stored keys and values: f16 or f32");
    addKeyFlags(app, {"threads", "kernels"}, options->flags.keys);
    app.add_flag("--json", options->json, "Print JSON");
    return [options] { return router(*options); };
}

}  // namespace conclave::engine::cli
