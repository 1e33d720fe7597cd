#include <cmath>
#include <cstdio>
#include <map>
#include <memory>

#include "engine/cli/command.h"
#include "engine/cli/engine_door.h"
#include "engine/cli/terminal.h"
#include "engine/offline/installed.h"
#include "engine/offline/numerics.h"
#include "engine/offline/router_sweep.h"
#include "engine/policy/options.h"

namespace conclave::engine::cli {
namespace {

struct Options {
    offline::SweepOptions sweep;
    std::map<std::string, std::string> flags;  ///< threads, kernels
    std::string activations = "auto", kv = "f16";
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
    const auto path = offline::modelPath(request.model);
    if (!path.ok()) return fail(path.error());
    const auto configured = userOptions(options.flags);
    if (!configured.ok()) return fail(configured.error());
    const auto numerics = offline::numericsOptions(configured->kernels, options.activations, options.kv);
    if (!numerics.ok()) return fail(numerics.error());
    request.model = *path;
    request.load = *numerics;
    request.threads = configured->threads;
    ProgressBar bar;
    request.progress = [&bar](const std::string& stage, uint64_t done, uint64_t total) {
        bar.show(stage, done, total);
    };
    const auto report = offline::sweepRouter(request);
    bar.clear();
    if (!report.ok()) return fail(report.error());
    if (options.json)
        std::puts(offline::toJson(*report).dump(2).c_str());
    else
        print(*report);
    return 0;
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
    app.add_option("--activations", options->activations, "auto, exact (float32), bf16, int8 or int8x2");
    app.add_option("--kv", options->kv, "Type of stored keys and values: f16 or f32");
    for (const char* name : {"threads", "kernels"})
        for (const policy::Key& key : policy::keys())
            if (key.name == name)
                app.add_option("--" + std::string(key.name), options->flags[std::string(key.name)],
                               std::string(key.help))
                    ->type_name(std::string(key.value));
    app.add_flag("--json", options->json, "Print JSON");
    return [options] { return router(*options); };
}

}  // namespace conclave::engine::cli
