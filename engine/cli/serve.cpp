#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <unistd.h>
#include <vector>

#include "engine/cli/command.h"
#include "engine/platform/paths.h"
#include "engine/policy/options.h"

namespace conclave::engine::cli {
namespace {

struct Options {
    std::map<std::string, std::string> flags;  ///< "threads" -> "2"
    std::string config;
    std::vector<std::string> models;
};

/// Becomes conclaved, which lies beside this program; comes back only when that failed.
int serve(const Options& options) {
    const std::string program = platform::executableFolder() + "/conclaved";
    std::vector<std::string> words{program};
    const auto add = [&](const std::string& flag, const std::string& value) {
        words.push_back("--" + flag);
        words.push_back(value);
    };
    if (!options.config.empty()) add("config", options.config);
    for (const std::string& model : options.models)
        add("model", model);
    for (const auto& [flag, value] : options.flags)
        if (!value.empty()) add(flag, value);
    std::vector<char*> arguments;
    for (std::string& word : words)
        arguments.push_back(word.data());
    arguments.push_back(nullptr);
    ::execv(program.c_str(), arguments.data());
    return fail({base::Code::SystemCallFailed, program, "starting the engine", {std::strerror(errno)}});
}

}  // namespace

Run declareServe(CLI::App& app) {
    auto options = std::make_shared<Options>();
    for (const policy::Key& key : policy::keys()) {
        if (!key.flag) continue;
        const std::string name(key.name);
        app.add_option("--" + name, options->flags[name], std::string(key.help))
            ->type_name(std::string(key.value));
    }
    app.add_option("--config", options->config, "Configuration file instead of the user's config.toml");
    app.add_option("--model", options->models, "Load this model (a path) at start; may be given again");
    return [options] { return serve(*options); };
}

}  // namespace conclave::engine::cli
