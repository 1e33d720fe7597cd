#include <cstdio>
#include <iostream>
#include <memory>
#include <optional>
#include <unistd.h>

#include "engine/cli/adapter_door.h"
#include "engine/cli/command.h"
#include "engine/cli/engine_door.h"
#include "engine/cli/expert_view.h"
#include "engine/cli/interrupt.h"
#include "engine/cli/line_editor.h"
#include "engine/cli/router_door.h"
#include "engine/cli/terminal.h"
#include "engine/platform/clock.h"
#include "engine/platform/paths.h"
#include "engine/protocol/chat.h"

namespace conclave::engine::cli {
namespace {

constexpr const char* kHelp =
    "A line is a message. End a line with \\ to go on in the next one, or put a longer message\n"
    "between lines of \"\"\". Ctrl-C stops an answer, Ctrl-D leaves.\n"
    "  /clear          begin a new conversation\n"
    "  /system TEXT    instructions for the conversation (empty: none); begins a new one\n"
    "  /experts        which experts this conversation has met so far\n"
    "  /help           this text\n"
    "  /exit           leave\n";

constexpr std::string_view kStarterName = "starter";
constexpr const char* kStarter =
    "This is the starter model: 11 million parameters, made to show that everything works, not to be "
    "clever.\n"
    "It knows a few tasks (\"Write a note: Tell Ann that the parcel is late.\", \"Translate to Chinese: Good "
    "morning.\").\n"
    "For a real assistant give a GGUF file or a Hugging Face folder: conclave chat PATH\n";

struct Options {
    std::string model;
    std::string system;
    std::string socket;
    std::vector<std::string> adapters;
    RouterFlags router;
    protocol::Generation generation;
};

/// Where messages come from: a person at a terminal, or lines of a script.
class Messages {
  public:
    explicit Messages(bool terminal) {
        if (terminal) editor_ = std::make_unique<LineEditor>(historyFile());
    }

    /// One message, or nothing at the end of the input.
    std::optional<std::string> next() {
        std::string message, line;
        bool block = false, more = false;
        while (true) {
            const auto outcome = readLine(block || more ? "… " : "> ", line);
            if (outcome == LineEditor::Outcome::Interrupted) {
                message.clear();
                block = more = false;
                continue;
            }
            if (outcome == LineEditor::Outcome::End) {
                if (message.empty()) return std::nullopt;
                break;
            }
            if (line == "\"\"\"") {
                if (block) break;
                block = true;
                continue;
            }
            more = !block && !line.empty() && line.back() == '\\';
            if (more) line.pop_back();
            message += line + (block || more ? "\n" : "");
            if (!block && !more) break;
        }
        if (block && !message.empty() && message.back() == '\n') message.pop_back();
        if (editor_ && !message.empty()) editor_->remember(message);
        return message;
    }

  private:
    static std::string historyFile() {
        const std::string folder = platform::userPaths().state;
        return platform::makeFolders(folder).ok() ? folder + "/chat_history" : "";
    }

    LineEditor::Outcome readLine(const char* prompt, std::string& line) {
        if (editor_) return editor_->read(prompt, line);
        if (!std::getline(std::cin, line)) return LineEditor::Outcome::End;
        if (!line.empty() && line.back() == '\r') line.pop_back();
        return LineEditor::Outcome::Line;
    }

    std::unique_ptr<LineEditor> editor_;
};

/// One conversation with one model.
class Conversation {
  public:
    Conversation(client::Engine engine, const Options& options)
        : engine_(std::move(engine)), socket_(options.socket), path_(options.model),
          adapters_(options.adapters) {
        request_.generation = options.generation;
        begin(options.system);
    }

    void begin(const std::string& system) {
        request_.generation.conversation = newName();
        request_.messages = protocol::Json::array();
        system_ = system;
        if (!system.empty()) request_.messages.push_back(protocol::chatMessage("system", system));
    }
    void clear() { begin(std::string(system_)); }

    /// Sends a message and shows the answer as it comes. What arrived of an answer that was stopped stays
    /// part of the conversation; a message that got no answer does not.
    int say(const std::string& message) {
        request_.messages.push_back(protocol::chatMessage("user", message));
        const InterruptGuard guard;
        client::Answer answer = ask(guard);
        if (engineIsGone(answer)) {
            if (const auto again = reopen(); !again.ok())
                answer.failed = again.error();
            else
                answer = ask(guard);
        }
        if (!answer.text.empty() || !answer.failed) std::fputs("\n", stdout);
        std::fflush(stdout);
        const bool stopped = answer.failed && answer.failed->code == base::Code::Cancelled;
        if (answer.failed && answer.text.empty())
            request_.messages.erase(request_.messages.size() - 1);
        else
            request_.messages.push_back(protocol::chatMessage("assistant", answer.text));
        if (!answer.failed || stopped) {
            const auto& most = request_.generation.maxTokens;
            const bool asWished = most && answer.usage && answer.usage->completionTokens >= *most;
            if (answer.finish == "length" && !asWished)
                std::fputs("conclave: the answer ends here because no more tokens fit; /clear begins anew\n",
                           stderr);
            return 0;
        }
        const int code = fail(*answer.failed);
        const size_t before = system_.empty() ? 0 : 1;
        if (answer.failed->code == base::Code::ContextExceeded && request_.messages.size() > before)
            std::fputs("conclave: the conversation is full; /clear begins a new one\n", stderr);
        return code;
    }

    void showExperts() const {
        protocol::ExpertsQuery query;
        query.model = request_.generation.model;
        query.conversation = request_.generation.conversation;
        const auto snapshot = engine_.experts(query);
        if (!snapshot.ok())
            fail(snapshot.error());
        else
            printSnapshot(*snapshot);
    }

  private:
    /// No other conversation of this user has it, so that the engine can tell their experts apart.
    static std::string newName() {
        static int number = 0;
        return "chat-" + std::to_string(platform::unixNow()) + "-" + std::to_string(::getpid()) + "-" +
               std::to_string(++number);
    }

    client::Answer ask(const InterruptGuard& guard) {
        return engine_.chat(
            request_,
            [](std::string_view text) {
                writeWords(text);
                return true;
            },
            &guard.cancellation());
    }

    /// It ended since the last answer, or before it had a word of this one.
    static bool engineIsGone(const client::Answer& answer) {
        return answer.failed && answer.text.empty() &&
               (answer.failed->code == base::Code::EngineLost ||
                answer.failed->code == base::Code::EngineNotRunning);
    }

    /// A new engine with the same model; the conversation is ours, so nothing of it is lost.
    base::Result<void> reopen() {
        CONCLAVE_TRY(engine_, openEngine(socket_));
        CONCLAVE_TRY(request_.generation.model, readyModel(engine_, path_));
        CONCLAVE_TRY(request_.generation.lora, readyAdapters(engine_, request_.generation.model, adapters_));
        return {};
    }

    client::Engine engine_;
    const std::string socket_, path_;
    const std::vector<std::string> adapters_;
    protocol::ChatRequest request_;
    std::string system_;
};

bool lost(int code) {
    return code == 1;
}

/// Handles a line that begins with '/'; false: leave.
bool command(const std::string& line, Conversation& conversation) {
    if (line == "/exit" || line == "/quit" || line == "/bye") return false;
    if (line == "/clear")
        conversation.clear();
    else if (line == "/system" || line.starts_with("/system "))
        conversation.begin(line.size() > 8 ? line.substr(8) : "");
    else if (line == "/experts")
        conversation.showExperts();
    else if (line == "/help" || line == "/?")
        std::fputs(kHelp, stdout);
    else
        std::fprintf(stdout, "There is no command %s; /help lists them.\n", line.c_str());
    return true;
}

/// models.chat of the configuration, else the only model loaded, else the one that is always there.
base::Result<std::string> defaultModel(const client::Engine& engine) {
    CONCLAVE_TRY(const protocol::EngineInfo info, engine.info());
    if (!info.defaultModel.empty()) return info.defaultModel;
    return info.models.size() == 1 ? info.models.front().id : std::string(kStarterName);
}

int chat(const Options& given) {
    Options options = given;
    auto router = routerWish(options.router);
    if (!router.ok()) return fail(router.error());
    options.generation.router = *std::move(router);
    const auto engine = openEngine(options.socket);
    if (!engine.ok()) return fail(engine.error());
    const auto chosen =
        options.model.empty() ? defaultModel(*engine) : base::Result<std::string>(options.model);
    if (!chosen.ok()) return fail(chosen.error());
    const auto model = readyModel(*engine, *chosen);
    if (!model.ok()) return fail(model.error());
    options.model = *chosen;
    options.generation.model = *model;
    auto adapters = readyAdapters(*engine, *model, options.adapters);
    if (!adapters.ok()) return fail(adapters.error());
    options.generation.lora = *std::move(adapters);

    const bool terminal = stdinIsTerminal() && stdoutIsTerminal();
    if (*model == kStarterName) std::fputs(kStarter, terminal ? stdout : stderr);
    if (terminal) std::printf("%s is ready. /help shows what you can do.\n", model->c_str());
    Messages messages(terminal);
    Conversation conversation(*engine, options);
    int code = 0;
    while (const auto message = messages.next()) {
        if (message->find_first_not_of(" \t\n") == std::string::npos) continue;
        if (message->front() == '/' && message->find('\n') == std::string::npos) {
            if (!command(*message, conversation)) break;
            continue;
        }
        code = conversation.say(*message);
        if (lost(code) && !terminal) return code;
    }
    if (terminal) std::fputs("\n", stdout);
    return terminal ? 0 : code;
}

}  // namespace

Run declareChat(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_option("model", options->model,
                   "A model's name or path; without it models.chat of config.toml, else starter");
    app.add_option("--system", options->system, "Instructions for the conversation");
    addAdapterFlag(app, options->adapters);
    addRouterFlags(app, options->router);
    addGenerationFlags(app, options->generation);
    addSocketFlag(app, options->socket);
    return [options] { return chat(*options); };
}

}  // namespace conclave::engine::cli
