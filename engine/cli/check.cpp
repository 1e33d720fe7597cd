#include <cmath>
#include <cstdio>
#include <memory>

#include "engine/cli/command.h"
#include "engine/cli/offline_door.h"
#include "engine/cli/terminal.h"
#include "engine/offline/check.h"
#include "engine/offline/production.h"

namespace conclave::engine::cli {
namespace {

struct Options {
    std::string model;
    std::string golden, adapter;
    OfflineFlags flags{.keys = {}, .activations = "", .kv = ""};  // exact unless asked otherwise
    bool production = false;
    std::string text;
    uint32_t tokens = 4000;
    bool json = false;
};

void print(const offline::CheckReport& report) {
    std::printf("model         %s\n", report.model.c_str());
    std::printf("mode          %s, kernels %s\n", report.mode.c_str(), report.kernels.c_str());
    if (!report.adapter.empty())
        std::printf("adapter       %s: %u pairs, %u matrices adapted\n", report.adapter.c_str(),
                    report.adapted.pairs, report.adapted.matrices);
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

void print(const offline::ProductionReport& report) {
    const auto positions = static_cast<double>(report.positions);
    const auto line = [&](const char* name, const offline::Divergence& d) {
        std::printf("%s mean KL to exact mode %.3g, same best token %.2f %%\n", name, d.meanKl,
                    100 * static_cast<double>(d.sameBest) / positions);
    };
    std::printf("model         %s\n", report.model.c_str());
    std::printf("mode          production (%s), kernels %s\n", report.rounded.c_str(),
                report.kernels.c_str());
    if (!report.adapter.empty())
        std::printf("adapter       %s: %u pairs, %u matrices adapted\n", report.adapter.c_str(),
                    report.adapted.pairs, report.adapted.matrices);
    std::printf("positions     %llu in %u %s\n", static_cast<unsigned long long>(report.positions),
                report.prompts, report.golden ? "golden prompts" : "windows of text");
    if (report.golden)
        std::printf("logits        largest error %.3g (at most %g), experts as the golden files say\n",
                    report.maxLogitError, report.mostLogitError);
    line("same experts ", report.forced);
    line("own experts  ", report.free);
    for (const std::string& warning : report.warnings)
        std::printf("warning       %s\n", warning.c_str());
    std::puts(report.pass ? "pass" : "FAIL");
}

template <class Report> int verdict(const base::Result<Report>& report, bool json) {
    const int shown = finish(report, json, [](const auto& r) { print(r); });
    return shown != 0 ? shown : report->pass ? 0 : 1;
}

int check(const Options& options) {
    if (options.production && !options.flags.kv.empty())
        return fail(
            {base::Code::BadArgument, "", "--production", {"stores keys and values as f16; leave --kv out"}});
    if (!options.production && !options.text.empty())
        return fail({base::Code::BadArgument, "", "--text", {"goes with --production"}});
    offline::CheckOptions request;
    const auto run = resolve(options.model, options.flags);
    if (!run.ok()) return fail(run.error());
    request.model = run->path;
    request.golden = options.golden;
    request.adapter = options.adapter;
    request.load = run->load;
    request.threads = run->configured.threads;
    request.context = run->configured.context;
    request.kvBytes = run->configured.kvMemory;
    ProgressBar bar;
    request.progress = bar.callback();
    if (options.production) {
        offline::ProductionOptions production{
            .check = request, .text = options.text, .tokens = options.tokens};
        if (!options.flags.activations.empty()) production.activations = request.load.activations;
        const auto report = offline::checkProduction(production);
        bar.clear();
        return verdict(report, options.json);
    }
    const auto report = offline::check(request);
    bar.clear();
    return verdict(report, options.json);
}

}  // namespace

Run declareCheck(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_option("model", options->model, "A folder (its safetensors) or a GGUF file")->required();
    app.add_option(
        "--golden", options->golden,
        "Folder of golden.json and golden.safetensors; the adapter's or the model's own without it");
    app.add_option(
        "--adapter", options->adapter,
        "A LoRA adapter for all prompts: PEFT's folder or a GGUF file, with golden files beside it");
    app.add_option("--activations", options->flags.activations,
                   "exact (float32), auto, bf16, int8 or int8x2");
    app.add_option("--kv", options->flags.kv, "Type of stored keys and values: f32 or f16");
    app.add_flag(
        "--production", options->production,
        "Compare the fast arithmetic of the engine instead: rounded activations (auto, or as --activations "
        "says), F16 keys and values");
    app.add_option("--text", options->text,
                   "With --production: measure on this text instead of golden files");
    app.add_option("--tokens", options->tokens, "With --text: most tokens of it (4000)");
    // What products are rounded to and how positions are stored is not taken from config.toml: without a flag
    // the check is exact.
    addKeyFlags(app, {"threads", "kernels", "kv-memory", "context"}, options->flags.keys);
    app.add_flag("--json", options->json, "Print JSON");
    return [options] { return check(*options); };
}

}  // namespace conclave::engine::cli
