#include "engine/cli/live_experts.h"

#include <CLI/Validators.hpp>
#include <cstdio>

#include "engine/cli/command.h"
#include "engine/cli/engine_door.h"
#include "engine/cli/expert_view.h"
#include "engine/cli/interrupt.h"
#include "engine/cli/terminal.h"

namespace conclave::engine::cli {
namespace {

/// JSON on a line of its own, so that a stream of it can be read line by line.
void show(const protocol::ExpertsSnapshot& snapshot, bool json) {
    if (json)
        std::puts(protocol::toText(snapshot).c_str());
    else
        printSnapshot(snapshot);
    std::fflush(stdout);
}

int watch(const client::Engine& engine, const protocol::ExpertsQuery& query, bool json) {
    const InterruptGuard guard;
    const bool redraw = stdoutIsTerminal() && !json;
    const auto onSnapshot = [&](const protocol::ExpertsSnapshot& snapshot) {
        if (redraw) std::fputs("\x1b[H\x1b[J", stdout);  // the cursor home, what lies below it gone
        show(snapshot, json);
        return !guard.interrupted();
    };
    const auto watched = engine.watchExperts(query, onSnapshot, &guard.cancellation());
    if (watched.ok() || guard.interrupted()) return 0;
    return fail(watched.error());
}

}  // namespace

CLI::Option* addLiveFlags(CLI::App& app, LiveFlags& flags) {
    CLI::Option* live =
        app.add_flag("--live", flags.live, "Instead of a text: what the running engine answered for you");
    app.add_flag("--watch", flags.watch, "With --live: again each second, until Ctrl-C")->needs(live);
    app.add_option("--conversation", flags.conversation,
                   "With --live: only requests whose field conversation is this")
        ->needs(live);
    app.add_option("--adapter", flags.adapter,
                   "With --live: only requests with this adapter; \"\": only those without any")
        ->needs(live);
    app.add_option("--tokens", flags.tokens, "With --live: the newest so many tokens (32768)")
        ->check(CLI::NonNegativeNumber)
        ->needs(live);
    app.add_option("--seconds", flags.seconds, "With --live: the last so many seconds")
        ->check(CLI::NonNegativeNumber)
        ->needs(live);
    app.add_option("--socket", flags.socket, "With --live: socket of the engine; the user's own without it")
        ->needs(live);
    return live;
}

int liveExperts(const std::string& model, const LiveFlags& flags, bool json) {
    const auto engine = findRunningEngine(flags.socket);
    if (!engine.ok()) return fail(engine.error());
    const protocol::ExpertsQuery query{.model = model,
                                       .conversation = flags.conversation,
                                       .adapter = flags.adapter,
                                       .tokens = flags.tokens,
                                       .seconds = flags.seconds};
    if (flags.watch) return watch(*engine, query, json);
    const auto snapshot = engine->experts(query);
    if (!snapshot.ok()) return fail(snapshot.error());
    show(*snapshot, json);
    return 0;
}

}  // namespace conclave::engine::cli
