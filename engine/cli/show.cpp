#include <cstdio>
#include <memory>

#include "engine/cli/command.h"
#include "engine/cli/engine_door.h"
#include "engine/cli/terminal.h"
#include "engine/offline/describe.h"

namespace conclave::engine::cli {
namespace {

struct Options {
    std::string model;
    bool json = false;
};

/// "11.5 M", "671.0 B"
std::string readableCount(uint64_t count) {
    char text[32];
    const auto value = static_cast<double>(count);
    if (value >= 1e9)
        std::snprintf(text, sizeof text, "%.1f B", value / 1e9);
    else if (value >= 1e6)
        std::snprintf(text, sizeof text, "%.1f M", value / 1e6);
    else
        std::snprintf(text, sizeof text, "%.1f K", value / 1e3);
    return text;
}

void row(const char* name, const std::string& value) {
    std::printf("%-14s %s\n", name, value.c_str());
}

void print(const offline::ModelDescription& d) {
    row("path", d.path);
    row("container", d.container);
    row("architecture", d.architecture + " (" + d.family + ")");
    std::string parameters = readableCount(d.parameters);
    if (d.experts) parameters += ", " + readableCount(d.activeParameters) + " active for a token";
    row("parameters", parameters);
    row("size", readableBytes(d.bytes));
    row("layers", std::to_string(d.layers) + " of " + std::to_string(d.hidden));
    row("attention", std::to_string(d.heads) + " heads, " +
                         (d.latentRank ? "latent " + std::to_string(d.latentRank)
                                       : std::to_string(d.kvHeads) + " for keys and values") +
                         ", " + readableBytes(d.kvBytesPerToken) + " of cache a token");
    row("experts", d.experts
                       ? std::to_string(d.experts) + ", " + std::to_string(d.chosenExperts) + " for a token"
                       : "none (dense)");
    row("context", std::to_string(d.context));
    row("vocabulary", std::to_string(d.tokens) + " tokens, " + std::to_string(d.vocabulary) + " rows");
    std::string formats;
    for (const auto& [name, bytes] : d.formats)
        formats += (formats.empty() ? "" : ", ") + name + " " + readableBytes(bytes);
    row("formats", formats);
    row("chat template", d.chatTemplate ? "yes" : "no: it completes text but cannot chat");
    for (const std::string& warning : d.warnings)
        row("warning", warning);
}

int show(const Options& options) {
    const auto path = modelPath(options.model);
    if (!path.ok()) return fail(path.error());
    const auto description = offline::describe(*path);
    return finish(description, options.json, [](const auto& d) { print(d); });
}

}  // namespace

Run declareShow(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_option("model", options->model, "A model's name or path")->required();
    app.add_flag("--json", options->json, "Print JSON");
    return [options] { return show(*options); };
}

}  // namespace conclave::engine::cli
