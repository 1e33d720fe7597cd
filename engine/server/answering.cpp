// Chat and completion: request -> prompt tokens -> scheduler -> answer, whole or as a stream.
#include <array>
#include <charconv>
#include <chrono>
#include <random>

#include "engine/protocol/answer.h"
#include "engine/protocol/chat.h"
#include "engine/protocol/completion.h"
#include "engine/server/routes.h"

namespace conclave::engine::server {
namespace {

using base::Code;
using base::Error;
using Model = std::shared_ptr<const library::LoadedModel>;
using Tokens = std::vector<base::TokenId>;

/// One answer that is being written. After it was made it is touched on the connection's strand alone.
struct Writing {
    protocol::AnswerHead head;
    bool stream = false;
    bool begun = false;
    std::string lead;  ///< text before the model's own: the prompt, where it is echoed
    std::string text;  ///< of an answer without stream
};

std::string newId(protocol::AnswerKind kind) {
    static thread_local std::mt19937_64 random{std::random_device{}()};
    std::array<char, 32> digits{};
    const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), random(), 16);
    return (kind == protocol::AnswerKind::Chat ? "chatcmpl-" : "cmpl-") + std::string(digits.data(), end);
}

int64_t unixNow() {
    using namespace std::chrono;
    return duration_cast<seconds>(system_clock::now().time_since_epoch()).count();
}

protocol::AnswerHead headOf(protocol::AnswerKind kind, const protocol::Generation& generation,
                            const Model& model) {
    return {.kind = kind,
            .id = newId(kind),
            .createdUnix = unixNow(),
            .model = model->name,
            .fingerprint = model->model->numericsId,
            .includeUsage = generation.stream && generation.includeUsage};
}

/// The request's own wishes before the model's, those before temperature 1 and top_p 1.
sampling::SamplerOptions samplingOf(const protocol::Generation& generation,
                                    const library::GenerationDefaults& model) {
    const auto pick = [](const std::optional<double>& wish, const std::optional<float>& otherwise,
                         float neutral) {
        return wish ? static_cast<float>(*wish) : otherwise.value_or(neutral);
    };
    return {.temperature = pick(generation.temperature, model.temperature, 1),
            .topK = generation.topK ? *generation.topK : model.topK.value_or(0),
            .topP = pick(generation.topP, model.topP, 1),
            .minP = pick(generation.minP, model.minP, 0),
            .seed = generation.seed};
}

void begin(Writing& writing, Exchange& exchange) {
    if (writing.begun || !writing.stream) return;
    writing.begun = true;
    exchange.beginEvents("");
    if (writing.head.kind == protocol::AnswerKind::Chat)
        exchange.event("", protocol::roleChunk(writing.head));
    if (!writing.lead.empty()) exchange.event("", protocol::textChunk(writing.head, writing.lead));
}

void finishAnswer(Writing& writing, Exchange& exchange, protocol::Finish finish,
                  const protocol::Usage& usage) {
    if (!writing.stream)
        return exchange.whole(
            200, protocol::wholeAnswer(writing.head, writing.lead + writing.text, finish, usage));
    exchange.event("", protocol::finishChunk(writing.head, finish));
    if (writing.head.includeUsage) exchange.event("", protocol::usageChunk(writing.head, usage));
    exchange.event("", protocol::kDone);
    exchange.end();
}

void takeEvent(Writing& writing, Exchange& exchange, const scheduler::SequenceEvent& event) {
    using scheduler::FinishReason;
    if (exchange.finished()) return;
    if (event.kind == scheduler::SequenceEvent::Kind::Text) {
        begin(writing, exchange);
        if (!writing.stream)
            writing.text += event.text;
        else if (!event.text.empty())
            exchange.event("", protocol::textChunk(writing.head, event.text));
        return;
    }
    // A failure before the first word is an answer with a status of its own; later it is the stream's last
    // event.
    if (event.reason == FinishReason::Failed)
        return exchange.fail(event.error.value_or(Error{Code::Internal, {}, {}, {"the sequence failed"}}));
    if (event.reason == FinishReason::Cancelled) return exchange.fail({Code::Cancelled, {}, {}, {}});
    begin(writing, exchange);
    finishAnswer(writing, exchange,
                 event.reason == FinishReason::Stop ? protocol::Finish::Stop : protocol::Finish::Length,
                 {event.usage.promptTokens, event.usage.completionTokens, event.usage.cachedTokens});
}

void generate(Context& context, base::OwnerId owner, const Reply& reply, const Model& model,
              const protocol::Generation& generation, Tokens prompt,
              const std::shared_ptr<Writing>& writing) {
    scheduler::GenerationRequest request;
    request.owner = owner;
    request.model = model;
    request.prompt = std::move(prompt);
    request.sampling = samplingOf(generation, model->defaults);
    request.maxTokens = generation.maxTokens ? generation.maxTokens : model->defaults.maxTokens;
    request.stop = generation.stop;
    request.priority = generation.priority.value_or(base::Priority::Chat);
    request.onEvent = [reply, writing](const scheduler::SequenceEvent& event) {
        reply.onStrand([writing, event](Exchange& exchange) { takeEvent(*writing, exchange, event); });
    };
    const auto sequence = context.scheduler.submit(std::move(request));
    if (!sequence.ok()) return reply.fail(sequence.error());
    reply.onStrand([&context, writing, id = *sequence](Exchange& exchange) {
        exchange.whenGone([&context, id] { context.scheduler.cancel(id); });
        if (!exchange.finished()) begin(*writing, exchange);
    });
}

/// The variables that templates expect, as transformers passes them.
nlohmann::ordered_json templateInput(const protocol::ChatRequest& chat, const library::LoadedModel& model) {
    nlohmann::ordered_json input = {
        {"messages", chat.messages},  {"tools", chat.tools},
        {"documents", nullptr},       {"add_generation_prompt", chat.addGenerationPrompt},
        {"bos_token", model.bosText}, {"eos_token", model.eosText}};
    for (const auto& [name, value] : chat.templateOptions.items())
        input[name] = value;
    return input;
}

base::Result<Tokens> chatPrompt(const protocol::ChatRequest& chat, const library::LoadedModel& model) {
    if (!model.chatTemplate)
        return model.templateError.value_or(Error{Code::NoChatTemplate, {}, model.name, {}});
    CONCLAVE_TRY(const text::RenderedPrompt prompt,
                 model.chatTemplate->render(templateInput(chat, model), std::chrono::system_clock::now()));
    return model.tokenizer->encode(prompt.spans, text::AddBos::IfWanted);
}

struct CompletionPrompt {
    Tokens tokens;
    std::string text;  ///< for echo
};

base::Result<CompletionPrompt> completionPrompt(const protocol::CompletionRequest& completion,
                                                const library::LoadedModel& model) {
    if (const auto* text = std::get_if<std::string>(&completion.prompt)) {
        CONCLAVE_TRY(Tokens tokens, model.tokenizer->encode(*text, completion.parseSpecial,
                                                            completion.addSpecial ? text::AddBos::IfWanted
                                                                                  : text::AddBos::No));
        return CompletionPrompt{std::move(tokens), *text};
    }
    const Tokens& tokens = std::get<Tokens>(completion.prompt);
    CompletionPrompt prompt{tokens, {}};
    if (completion.echo) {
        CONCLAVE_TRY(prompt.text, model.tokenizer->decode(tokens, true));
    }
    return prompt;
}

}  // namespace

void chatCompletions(Context& context, const Request& request, const Reply& reply) {
    auto chat = protocol::readChatRequest(request.body);
    if (!chat.ok()) return reply.fail(chat.error());
    const std::string name = chat->generation.model;
    withModel(context, name, reply,
              [&context, owner = request.owner, chat = std::move(*chat), reply](const Model& model) {
                  auto prompt = chatPrompt(chat, *model);
                  if (!prompt.ok()) return reply.fail(prompt.error());
                  auto writing = std::make_shared<Writing>();
                  writing->head = headOf(protocol::AnswerKind::Chat, chat.generation, model);
                  writing->stream = chat.generation.stream;
                  generate(context, owner, reply, model, chat.generation, std::move(*prompt), writing);
              });
}

void completions(Context& context, const Request& request, const Reply& reply) {
    auto completion = protocol::readCompletionRequest(request.body);
    if (!completion.ok()) return reply.fail(completion.error());
    const std::string name = completion->generation.model;
    withModel(
        context, name, reply,
        [&context, owner = request.owner, completion = std::move(*completion), reply](const Model& model) {
            auto prompt = completionPrompt(completion, *model);
            if (!prompt.ok()) return reply.fail(prompt.error());
            auto writing = std::make_shared<Writing>();
            writing->head = headOf(protocol::AnswerKind::Completion, completion.generation, model);
            writing->stream = completion.generation.stream;
            if (completion.echo) writing->lead = prompt->text;
            generate(context, owner, reply, model, completion.generation, std::move(prompt->tokens), writing);
        });
}

}  // namespace conclave::engine::server
