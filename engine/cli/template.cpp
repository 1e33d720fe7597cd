#include <cstdio>
#include <iostream>
#include <iterator>
#include <memory>

#include "engine/cli/command.h"
#include "engine/cli/engine_door.h"
#include "engine/offline/render_template.h"
#include "engine/platform/file.h"

namespace conclave::engine::cli {
namespace {

struct Options {
    std::string source;
    std::string input;
    std::string now;
};

/// A .jinja or .txt file is a template of its own; anything else is a model.
bool isTemplateFile(const std::string& source) {
    return source.ends_with(".jinja") || source.ends_with(".txt");
}

int render(const Options& options) {
    std::string input;
    if (options.input == "-") {
        input.assign(std::istreambuf_iterator<char>(std::cin), {});
    } else {
        auto read = platform::readTextFile(options.input);
        if (!read.ok()) return fail(read.error());
        input = std::move(read).value();
    }
    offline::TemplateRequest request;
    request.input = input;
    request.now = options.now;
    if (isTemplateFile(options.source)) {
        request.templateFile = options.source;
    } else {
        const auto path = modelPath(options.source);
        if (!path.ok()) return fail(path.error());
        request.modelPath = *path;
    }
    const auto text = offline::renderTemplate(request);
    if (!text.ok()) return fail(text.error());
    std::fwrite(text->data(), 1, text->size(), stdout);
    return 0;
}

}  // namespace

Run declareTemplate(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_option("source", options->source, "A template file (.jinja), or a model's name or path")
        ->required();
    app.add_option("--input", options->input,
                   "JSON file with messages and other variables; - is standard input")
        ->required();
    app.add_option("--now", options->now, "Clock of the template, as 2026-11-23T09:30:00 in local time");
    return [options] { return render(*options); };
}

}  // namespace conclave::engine::cli
