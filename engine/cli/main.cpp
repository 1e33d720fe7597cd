#include <CLI/CLI.hpp>
#include <algorithm>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <new>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "engine/cli/command.h"

namespace {

using namespace conclave::engine;

struct Declared {
    CLI::App* app;
    cli::Run run;
};

int reportParseError(const CLI::App& app, const std::string& parent, const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {  // --help and --version end up here too
        std::fputs(error.get_name() == "CallForVersion" ? "conclave " CONCLAVE_VERSION "\n"
                                                        : app.help(parent).c_str(),
                   stdout);
        return 0;
    }
    std::fprintf(stderr, "conclave: %s; see %s%s --help\n", error.what(),
                 parent.empty() ? "" : (parent + " ").c_str(), app.get_name().c_str());
    return 2;
}

}  // namespace

int main(int argc, char** argv) {
    std::setlocale(LC_CTYPE, "");
    std::signal(SIGPIPE, SIG_IGN);  // a reader that leaves is an error of a write, not the end of us
    CLI::App app{"Conclave: a private assistant that runs language models on this machine"};
    app.name("conclave");
    app.set_version_flag("--version", "conclave " CONCLAVE_VERSION);
    app.require_subcommand(1);
    app.set_help_all_flag("--help-all", "Show the help of every command");

    std::vector<Declared> declared;
    for (const cli::Command& command : cli::commands()) {
        CLI::App* sub = app.add_subcommand(std::string(command.name), std::string(command.summary));
        sub->set_help_all_flag("");
        sub->footer("Example:\n  " + std::string(command.example));
        declared.push_back({sub, command.declare(*sub)});
    }
    const std::string_view first = argc > 1 ? argv[1] : "";
    const auto named = [&](const cli::Command& command) { return command.name == first; };
    if (!first.empty() && first[0] != '-' && std::ranges::none_of(cli::commands(), named)) {
        std::fprintf(stderr, "conclave: there is no command %s; conclave --help lists them\n", argv[1]);
        return 2;
    }
    if (argc == 1) {
        std::fputs(app.help().c_str(), stdout);
        return 2;
    }
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        for (const Declared& d : declared)
            if (d.app->parsed()) return reportParseError(*d.app, app.get_name(), error);
        return reportParseError(app, "", error);
    }
    try {
        for (const Declared& d : declared)
            if (d.app->parsed()) return d.run();
    } catch (const std::bad_alloc&) {
        std::fputs("conclave: the system refuses memory; free some and try again\n", stderr);
    } catch (const std::system_error& error) {
        std::fprintf(stderr, "conclave: the system refuses what is needed (%s); free some and try again\n",
                     error.what());
    }
    return 2;
}
