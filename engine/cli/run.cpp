#include <cstdio>
#include <iostream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>

#include "engine/cli/adapter_door.h"
#include "engine/cli/command.h"
#include "engine/cli/engine_door.h"
#include "engine/cli/interrupt.h"
#include "engine/cli/router_door.h"
#include "engine/cli/terminal.h"
#include "engine/protocol/chat.h"
#include "engine/protocol/completion.h"

namespace conclave::engine::cli {
namespace {

struct Options {
    std::string model;
    std::string prompt;
    std::string system;
    std::string socket;
    std::vector<std::string> adapters;
    RouterFlags router;
    protocol::Generation generation;
    bool raw = false;
    bool json = false;
};

protocol::ChatRequest chatRequest(const Options& options, const std::string& prompt) {
    protocol::ChatRequest request;
    request.generation = options.generation;
    if (!options.system.empty()) request.messages.push_back(protocol::chatMessage("system", options.system));
    request.messages.push_back(protocol::chatMessage("user", prompt));
    return request;
}

/// Words go to stdout as they come; with --json the whole answer as one object at the end.
int print(const Options& options, const client::Answer& answer) {
    if (options.json) {
        nlohmann::ordered_json out{{"model", answer.model}, {"text", answer.text}, {"finish", answer.finish}};
        if (answer.usage)
            out["usage"] = {{"prompt_tokens", answer.usage->promptTokens},
                            {"completion_tokens", answer.usage->completionTokens},
                            {"cached_tokens", answer.usage->cachedTokens}};
        if (answer.failed) out["error"] = base::render(*answer.failed);
        std::puts(out.dump(2).c_str());
    } else if (!answer.text.empty() && (stdoutIsTerminal() || answer.text.back() != '\n')) {
        std::fputs("\n", stdout);
    }
    if (!answer.failed) return 0;
    const int code = fail(*answer.failed);
    if (answer.failed->code == base::Code::NoChatTemplate)
        std::fputs("conclave: with --raw, conclave run completes a text with this model\n", stderr);
    return code;
}

int run(Options& options) {
    auto router = routerWish(options.router);
    if (!router.ok()) return fail(router.error());
    options.generation.router = *std::move(router);
    std::string prompt = options.prompt;
    if (prompt.empty() || prompt == "-") prompt.assign(std::istreambuf_iterator<char>(std::cin), {});
    const auto engine = openEngine(options.socket);
    if (!engine.ok()) return fail(engine.error());
    const auto model = readyModel(*engine, options.model);
    if (!model.ok()) return fail(model.error());
    options.generation.model = *model;
    auto adapters = readyAdapters(*engine, *model, options.adapters);
    if (!adapters.ok()) return fail(adapters.error());
    options.generation.lora = *std::move(adapters);

    const InterruptGuard guard;
    const auto show = [&](std::string_view text) {
        if (!options.json) writeWords(text);
        return true;
    };
    if (!options.raw)
        return print(options, engine->chat(chatRequest(options, prompt), show, &guard.cancellation()));
    protocol::CompletionRequest request;
    request.generation = options.generation;
    request.prompt = prompt;
    return print(options, engine->complete(request, show, &guard.cancellation()));
}

}  // namespace

Run declareRun(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_option("model", options->model, "A model's name or path")->required();
    app.add_option("prompt", options->prompt, "What to say; - or nothing reads standard input");
    app.add_option("--system", options->system, "Instructions before the prompt");
    app.add_flag("--raw", options->raw, "Continue the prompt as plain text, without the chat template");
    app.add_flag("--json", options->json, "Print the whole answer as JSON when it is done");
    addAdapterFlag(app, options->adapters);
    addRouterFlags(app, options->router);
    addGenerationFlags(app, options->generation);
    addSocketFlag(app, options->socket);
    return [options] { return run(*options); };
}

}  // namespace conclave::engine::cli
