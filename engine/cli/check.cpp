#include <cmath>
#include <cstdio>
#include <memory>

#include "engine/cli/command.h"
#include "engine/cli/terminal.h"
#include "engine/offline/check.h"
#include "engine/offline/installed.h"
#include "engine/offline/numerics.h"

namespace conclave::engine::cli {
namespace {

struct Options {
    std::string model;
    std::string golden;
    std::string kernels, activations, kv;
    size_t threads = 0;
    bool json = false;
};

void print(const offline::CheckReport& report) {
    std::printf("model         %s\n", report.model.c_str());
    std::printf("mode          %s, kernels %s\n", report.mode.c_str(), report.kernels.c_str());
    std::printf("prompts       %u, %u of %u tokenized as the golden file says\n", report.prompts,
                report.tokensAgree, report.tokensTotal);
    std::printf("logits        largest error %.3g (at most %g)\n", report.maxLogitError,
                offline::kMostLogitError);
    if (report.routingTotal || report.routingForced)
        std::printf("routing       %llu of %llu clear choices agree, %llu too close to call\n",
                    static_cast<unsigned long long>(report.routingAgree),
                    static_cast<unsigned long long>(report.routingTotal),
                    static_cast<unsigned long long>(report.routingForced));
    std::printf("greedy        %llu of %llu clear steps agree\n",
                static_cast<unsigned long long>(report.greedyAgree),
                static_cast<unsigned long long>(report.greedyTotal));
    for (const std::string& warning : report.warnings)
        std::printf("warning       %s\n", warning.c_str());
    std::puts(report.pass ? "pass" : "FAIL");
}

int check(const Options& options) {
    offline::CheckOptions request;
    const auto path = offline::modelPath(options.model);
    if (!path.ok()) return fail(path.error());
    const auto numerics = offline::numericsOptions(options.kernels, options.activations, options.kv);
    if (!numerics.ok()) return fail(numerics.error());
    request.model = *path;
    request.golden = options.golden;
    request.load = *numerics;
    request.threads = options.threads;
    ProgressBar bar;
    request.progress = [&bar](const std::string& stage, uint64_t done, uint64_t total) {
        bar.show(stage, done, total);
    };
    const auto report = offline::check(request);
    bar.clear();
    if (!report.ok()) return fail(report.error());
    if (options.json)
        std::puts(offline::toJson(*report).dump(2).c_str());
    else
        print(*report);
    return report->pass ? 0 : 1;
}

}  // namespace

Run declareCheck(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_option("model", options->model, "A folder (its safetensors) or a GGUF file")->required();
    app.add_option("--golden", options->golden,
                   "Folder of golden.json and golden.safetensors; the model's own without it");
    app.add_option("--kernels", options->kernels, "Row of kernels; the best one without it");
    app.add_option("--activations", options->activations, "exact (float32), auto, bf16 or int8");
    app.add_option("--kv", options->kv, "Type of stored keys and values: f32 or f16");
    app.add_option("--threads", options->threads, "Threads; one for each core without it");
    app.add_flag("--json", options->json, "Print JSON");
    return [options] { return check(*options); };
}

}  // namespace conclave::engine::cli
