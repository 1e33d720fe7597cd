#pragma once

#include <CLI/App.hpp>
#include <cstdio>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "engine/base/error.h"
#include "engine/base/result.h"

namespace conclave::engine::cli {

/// What a subcommand does once its flags are read; returns the exit code.
using Run = std::function<int()>;

/// One subcommand: one file of this room.
struct Command {
    std::string_view name;
    std::string_view summary;
    std::string_view example;       ///< one line that works, shown by --help
    Run (*declare)(CLI::App& app);  ///< adds the flags and returns what runs
};

/// Every subcommand, in the order of --help.
std::span<const Command> commands();

/// Prints the sentence of an error to stderr, prefixed by the program's name, and gives the exit code: 2 for
/// what the caller can mend, 1 for what went wrong on the way.
int fail(const base::Error& error);

/// Shows a report as JSON or with `print`, or fails with its error; gives the exit code.
template <class Report, class Print>
int finish(const base::Result<Report>& report, bool json, const Print& print) {
    if (!report.ok()) return fail(report.error());
    if (json)
        std::puts(toJson(*report).dump(2).c_str());
    else
        print(*report);
    return 0;
}

Run declareRun(CLI::App& app);
Run declareChat(CLI::App& app);
Run declareServe(CLI::App& app);
Run declarePs(CLI::App& app);
Run declareStop(CLI::App& app);
Run declareModels(CLI::App& app);
Run declareShow(CLI::App& app);
Run declareCheck(CLI::App& app);
Run declareAdapters(CLI::App& app);
Run declareBench(CLI::App& app);
Run declareExperts(CLI::App& app);
Run declareRouter(CLI::App& app);
Run declareTokenize(CLI::App& app);
Run declareTemplate(CLI::App& app);
Run declareImport(CLI::App& app);
Run declareSynth(CLI::App& app);
Run declareDoctor(CLI::App& app);

}  // namespace conclave::engine::cli
