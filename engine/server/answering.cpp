// Chat and completion: request -> prompt tokens -> scheduler -> answer, whole or as a stream.
#include <array>
#include <charconv>
#include <chrono>
#include <limits>
#include <random>

#include "engine/platform/clock.h"
#include "engine/protocol/answer.h"
#include "engine/protocol/chat.h"
#include "engine/protocol/completion.h"
#include "engine/server/routes.h"
#include "engine/server/writing.h"

namespace conclave::engine::server {
namespace {

using base::Code;
using base::Error;
using Model = std::shared_ptr<const library::LoadedModel>;
using Tokens = std::vector<base::TokenId>;

std::string newId(protocol::AnswerKind kind) {
    static thread_local std::mt19937_64 random{std::random_device{}()};
    std::array<char, 32> digits{};
    const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), random(), 16);
    return (kind == protocol::AnswerKind::Chat ? "chatcmpl-" : "cmpl-") + std::string(digits.data(), end);
}

protocol::AnswerHead headOf(protocol::AnswerKind kind, const protocol::Generation& generation,
                            const Model& model) {
    return {.kind = kind,
            .id = newId(kind),
            .createdUnix = platform::unixNow(),
            .model = generation.model.empty() ? model->name : generation.model,
            .fingerprint = model->model->numericsId,
            .includeUsage = generation.stream && generation.includeUsage};
}

/// The request's own wishes before the model's, those before what changes nothing.
sampling::SamplerOptions samplingOf(const protocol::Generation& generation,
                                    const library::GenerationDefaults& model) {
    const auto pick = [](const std::optional<double>& wish, const std::optional<float>& otherwise,
                         float neutral) {
        return wish ? static_cast<float>(*wish) : otherwise.value_or(neutral);
    };
    const int32_t lastN = generation.repeatLastN.value_or(model.repeatLastN.value_or(-1));
    sampling::SamplerOptions out{
        .temperature = pick(generation.temperature, model.temperature, 1),
        .topK = generation.topK ? *generation.topK : model.topK.value_or(0),
        .topP = pick(generation.topP, model.topP, 1),
        .minP = pick(generation.minP, model.minP, 0),
        .typicalP = pick(generation.typicalP, model.typicalP, 1),
        .penalties = {.repetition = pick(generation.repetitionPenalty, model.repetitionPenalty, 1),
                      .frequency = pick(generation.frequencyPenalty, {}, 0),
                      .presence = pick(generation.presencePenalty, {}, 0)},
        .logprobs = generation.logprobs,
        .seed = generation.seed};
    if (lastN >= 0) out.penalties.lastTokens = static_cast<uint32_t>(lastN);
    for (const protocol::TokenBias& bias : generation.logitBias)
        out.bias.push_back({bias.token, bias.bias ? static_cast<float>(*bias.bias)
                                                  : -std::numeric_limits<float>::infinity()});
    return out;
}

Writing::Form formOf(protocol::AnswerKind kind, const protocol::Generation& generation, const Model& model) {
    return {.head = headOf(kind, generation, model),
            .stream = generation.stream,
            .choices = generation.n,
            .lead = {},
            .model = model};
}

/// Submits every choice of an answer; the first computes the prompt for all.
void generate(Context& context, base::OwnerId owner, const Reply& reply,
              const protocol::Generation& generation, std::vector<library::AdapterUse> adapters,
              Tokens prompt, Writing::Form form) {
    const Model model = form.model;
    const auto writing = std::make_shared<Writing>(std::move(form), context.scheduler);
    scheduler::GenerationRequest request;
    request.owner = owner;
    request.model = model;
    request.adapters = std::move(adapters);
    request.router = generation.router ? routerOf(*generation.router) : model->router;
    request.prompt = std::move(prompt);
    request.sampling = samplingOf(generation, model->defaults);
    request.maxTokens = generation.maxTokens ? generation.maxTokens : model->defaults.maxTokens;
    request.minTokens = generation.minTokens;
    request.ignoreEnd = generation.ignoreEos;
    request.stop = generation.stop;
    request.conversation = generation.conversation;
    request.priority = generation.priority.value_or(base::Priority::Chat);
    std::vector<base::SequenceId> sequences;
    for (uint32_t choice = 0; choice < generation.n; ++choice) {
        request.choice = choice;
        if (choice > 0) request.after = sequences.front();
        request.onEvent = [reply, writing, choice](const scheduler::SequenceEvent& event) {
            reply.onStrand(
                [writing, choice, event](Exchange& exchange) { writing->take(choice, event, exchange); });
        };
        const auto sequence = context.scheduler.submit(request);
        if (!sequence.ok()) {
            reply.fail(sequence.error());
            for (const base::SequenceId other : sequences)
                context.scheduler.cancel(other);
            return;
        }
        sequences.push_back(*sequence);
    }
    reply.onStrand([writing, sequences = std::move(sequences)](Exchange& exchange) {
        writing->setSequences(sequences, exchange);
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
    AdapterWish wish{chat->generation.model, chat->generation.lora, request.owner};
    withAdapters(context, std::move(wish), reply,
                 [&context, owner = request.owner, chat = std::move(*chat),
                  reply](const Model& model, std::vector<library::AdapterUse> adapters) {
                     auto prompt = chatPrompt(chat, *model);
                     if (!prompt.ok()) return reply.fail(prompt.error());
                     generate(context, owner, reply, chat.generation, std::move(adapters), std::move(*prompt),
                              formOf(protocol::AnswerKind::Chat, chat.generation, model));
                 });
}

void completions(Context& context, const Request& request, const Reply& reply) {
    auto completion = protocol::readCompletionRequest(request.body);
    if (!completion.ok()) return reply.fail(completion.error());
    AdapterWish wish{completion->generation.model, completion->generation.lora, request.owner};
    withAdapters(context, std::move(wish), reply,
                 [&context, owner = request.owner, completion = std::move(*completion),
                  reply](const Model& model, std::vector<library::AdapterUse> adapters) {
                     auto prompt = completionPrompt(completion, *model);
                     if (!prompt.ok()) return reply.fail(prompt.error());
                     Writing::Form form =
                         formOf(protocol::AnswerKind::Completion, completion.generation, model);
                     if (completion.echo) form.lead = prompt->text;
                     generate(context, owner, reply, completion.generation, std::move(adapters),
                              std::move(prompt->tokens), std::move(form));
                 });
}

}  // namespace conclave::engine::server
