#include <cstdio>
#include <iostream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>

#include "engine/cli/command.h"
#include "engine/cli/engine_door.h"
#include "engine/offline/tokenize.h"
#include "engine/platform/file.h"

namespace conclave::engine::cli {
namespace {

struct Options {
    std::string model;
    std::string file;
    bool special = false;
    bool json = false;
};

int tokenize(const Options& options) {
    const auto path = modelPath(options.model);
    if (!path.ok()) return fail(path.error());
    std::string text;
    if (options.file.empty() || options.file == "-") {
        text.assign(std::istreambuf_iterator<char>(std::cin), {});
    } else {
        auto read = platform::readTextFile(options.file);
        if (!read.ok()) return fail(read.error());
        text = std::move(read).value();
    }
    const auto ids = offline::tokenize(
        *path, text, options.special ? offline::SpecialTokens::Parsed : offline::SpecialTokens::Plain);
    if (!ids.ok()) return fail(ids.error());
    std::string out;
    if (options.json) {
        nlohmann::json tokens = nlohmann::json::array();
        for (const base::TokenId id : *ids)
            tokens.push_back(base::toInt(id));
        out = nlohmann::json{{"tokens", tokens}}.dump();
    } else {
        for (const base::TokenId id : *ids)
            out += (out.empty() ? "" : " ") + std::to_string(base::toInt(id));
    }
    std::puts(out.c_str());
    return 0;
}

}  // namespace

Run declareTokenize(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_option("model", options->model, "A model's name or path")->required();
    app.add_option("file", options->file, "The text, byte for byte; standard input without it");
    app.add_flag("--special", options->special,
                 "Recognise control tokens in the text and begin as the vocabulary asks");
    app.add_flag("--json", options->json, "Print {\"tokens\": [...]}");
    return [options] { return tokenize(*options); };
}

}  // namespace conclave::engine::cli
