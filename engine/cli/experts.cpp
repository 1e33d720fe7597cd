#include <algorithm>
#include <cstdio>
#include <iostream>
#include <memory>
#include <numeric>
#include <optional>

#include "engine/cli/command.h"
#include "engine/cli/expert_view.h"
#include "engine/cli/live_experts.h"
#include "engine/cli/offline_door.h"
#include "engine/cli/terminal.h"
#include "engine/offline/expert_map.h"
#include "engine/offline/experts.h"
#include "engine/platform/file.h"

namespace conclave::engine::cli {
namespace {

using base::Code;
using base::Error;
using base::Result;

struct Options {
    std::string model, text, compare, svg;
    OfflineFlags flags;
    LiveFlags live;
    double carry = 0.8;
    bool json = false;
};

Result<offline::TextSource> textOf(const Options& options) {
    if (!options.text.empty()) return offline::readTexts(options.text);
    if (stdinIsTerminal())
        return Error{Code::BadArgument,
                     {},
                     "--text",
                     {"is missing; give a file or a folder, send a text to standard input, or see with "
                      "--live what the running engine answered"}};
    return offline::textSource("standard input", std::string(std::istreambuf_iterator<char>(std::cin), {}));
}

/// Whether a picture may be written there: whoever mistypes a path loses no other file.
Result<void> checkPicture(const std::string& path) {
    const platform::PathKind kind = platform::pathKind(path);
    if (kind == platform::PathKind::Missing) return {};
    const auto there = platform::readTextFile(path);
    if (kind == platform::PathKind::Regular && there.ok() && there->starts_with("<svg")) return {};
    return Error{Code::BadArgument,
                 {},
                 "--svg",
                 {path + " is there already and is not an SVG file; remove it or choose another name"}};
}

void printText(const offline::TextExperts& text, const offline::ExpertsReport& report) {
    std::printf("text          %s: %llu tokens in %u piece%s of up to %u\n", text.name.c_str(),
                static_cast<unsigned long long>(text.tokens), text.pieces, text.pieces == 1 ? "" : "s",
                report.piece);
    if (text.files > 1 || text.skipped > 0)
        std::printf("files         %zu, %u more that hold no text\n", text.files, text.skipped);
    printExpertLoad(text, report.experts);
}

void printOverlap(const offline::ExpertsReport& report) {
    std::printf("overlap       layer  common load  of the %u busiest\n", report.top);
    for (const offline::LayerOverlap& layer : report.overlap)
        std::printf("              %5u  %11.2f  %16.2f\n", layer.layer, layer.load, layer.top);
}

void printAdvice(const offline::ExpertsReport& report) {
    const auto mean = [&](std::vector<uint32_t> offline::LayerAdvice::*list) {
        const size_t sum = std::accumulate(
            report.advice.begin(), report.advice.end(), size_t{0},
            [list](size_t so, const offline::LayerAdvice& layer) { return so + (layer.*list).size(); });
        return static_cast<double>(sum) / static_cast<double>(std::max<size_t>(report.advice.size(), 1));
    };
    std::printf("tune          %.1f of %u experts a layer carry %.0f %% of its load\n",
                mean(&offline::LayerAdvice::tune), report.experts, 100 * report.carry);
    std::printf("freeze        %.1f of %u experts a layer are hardly used; --json lists both\n",
                mean(&offline::LayerAdvice::freeze), report.experts);
}

void print(const offline::ExpertsReport& report) {
    std::printf("model         %s, %u of %u experts for each token\n", report.model.c_str(), report.chosen,
                report.experts);
    printText(report.text, report);
    if (report.compare) {
        printText(*report.compare, report);
        printOverlap(report);
    }
    printAdvice(report);
    for (const std::string& warning : report.warnings)
        std::printf("warning       %s\n", warning.c_str());
}

int experts(const Options& options) {
    if (options.live.live) return liveExperts(options.model, options.live, options.json);
    if (options.model.empty())
        return fail({Code::BadArgument, {}, "model", {"is missing; give a name, a folder or a GGUF file"}});
    const auto run = resolve(options.model, options.flags);
    if (!run.ok()) return fail(run.error());
    if (!options.svg.empty())
        if (const auto free = checkPicture(options.svg); !free.ok()) return fail(free.error());
    auto text = textOf(options);
    if (!text.ok()) return fail(text.error());
    offline::ExpertsOptions request{.model = run->path, .text = std::move(*text)};
    if (!options.compare.empty()) {
        auto compare = offline::readTexts(options.compare);
        if (!compare.ok()) return fail(compare.error());
        request.compare = std::move(*compare);
    }
    request.load = run->load;
    request.threads = run->configured.threads;
    request.context = run->configured.context;
    request.carry = options.carry;
    ProgressBar bar;
    request.progress = bar.callback();
    auto report = offline::experts(request);
    bar.clear();
    if (!report.ok()) return fail(report.error());
    report->model = options.model;  // as the person calls it
    if (!options.svg.empty())
        if (const auto written = platform::writeFileAtomically(options.svg, offline::heatMapSvg(*report));
            !written.ok())
            return fail(written.error());
    return finish(report, options.json, [](const auto& r) { print(r); });
}

}  // namespace

Run declareExperts(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_option("model", options->model,
                   "A model's name, a folder or a GGUF file; with --live a loaded one, or the default");
    CLI::Option* live = addLiveFlags(app, options->live);
    app.add_option("--text", options->text,
                   "A file, or a folder whose files are read in order; standard input without it")
        ->excludes(live);
    app.add_option("--compare", options->compare, "Another file or folder: what do both have in common?")
        ->excludes(live);
    app.add_option("--carry", options->carry,
                   "Share of a layer's load that the experts worth tuning carry together (0.8)")
        ->excludes(live);
    app.add_option("--svg", options->svg, "Write the heat map as a picture to this file")->excludes(live);
    addKeyFlags(app, {"threads", "kernels", "context"}, options->flags.keys);
    app.add_flag("--json", options->json, "Print JSON");
    return [options] { return experts(*options); };
}

}  // namespace conclave::engine::cli
